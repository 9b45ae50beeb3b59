// Opens report.html as a reader would, from file://, and compares what it shows with map.json.
//
//   node report.test.mjs <folder with report.html and map.json> [<folder for screenshots>]
//
// Exit code 0 if everything holds. The browser is $CHROMIUM, /usr/bin/chromium or /usr/bin/chromium-browser.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const folder = resolve(process.argv[2] ?? ".");
const shots = process.argv[3] && resolve(process.argv[3]);
const map = JSON.parse(readFileSync(join(folder, "map.json"), "utf8"));
const address = pathToFileURL(join(folder, "report.html")).href;
const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find((p) => p && existsSync(p));
assert.ok(executablePath, "no Chromium found: install it or set CHROMIUM");

const COMPONENTS = ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.up", "mlp.down", "mlp.gate"];
const cells = map.grid.cells;
const layers = map.grid.layers;

// What map.json says of a place: the mean over its experts that have a score; null if none has.
function expected(metric, layer, component) {
  const values = cells
    .map((cell, i) => [cell, metric.scores[i].value])
    .filter(([cell, value]) => cell.layer === layer && cell.component === component && typeof value === "number")
    .map(([, value]) => value);
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

function assertShown(text, value, where) {
  if (value === null) return assert.match(text, /^(–|no value)/, where);
  const shown = Number(text);
  assert.ok(Math.abs(shown - value) <= 6e-4 * Math.abs(value) + 1e-300, `${where}: the page shows ${text}, map.json has ${value}`);
}

const profile = mkdtempSync(join(tmpdir(), "tomograph-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: 1280, height: 1100 },
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await context.newPage();
  const problems = [];
  const requests = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => requests.push(request.url()));

  await page.goto(address);
  await page.waitForSelector("body.ready");
  const metrics = map.metrics;
  const options = await page.$$eval("#metric option", (all) => all.length);
  assert.equal(options, metrics.length, "one choice per metric");

  const choose = async (metric, normalisation) => {
    await page.selectOption("#metric", String(metric));
    const labels = await page.$$eval("#normalisation option", (all) => all.map((o) => o.textContent));
    const at = labels.findIndex((label) => label.startsWith(`${normalisation}:`));
    assert.ok(at >= 0, `${normalisation} among ${labels}`);
    await page.selectOption("#normalisation", String(at));
  };
  const table = () => page.$$eval("#data-table tbody tr", (all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));

  // Every metric, every cell: the table says what map.json says.
  for (const [at, metric] of metrics.entries()) {
    await choose(at, "raw");
    const shown = await table();
    assert.equal(shown.length, layers);
    for (const [layer, ...values] of shown) {
      COMPONENTS.forEach((c, i) => assertShown(values[i], expected(metric, Number(layer), c), `${metric.id} L${layer}.${c}`));
    }
    assert.equal(Number(shown[0][0]), layers - 1, "layer 0 is at the bottom");
  }

  // One metric switched, one cell hovered: the tooltip has its value, rank, shape and type.
  const last = metrics.length - 1;
  await choose(last, "raw");
  const target = cells.findIndex((c, i) => c.layer === Math.floor(layers / 2) && typeof metrics[last].scores[i].value === "number");
  assert.ok(target >= 0, "a cell with a value half way up");
  const cell = cells[target];
  const column = COMPONENTS.indexOf(cell.component);
  const at = (layer, c) => `.cell[data-layer="${layer}"][data-column="${c}"]`;
  await page.hover(at(cell.layer, column));
  const tip = await page.$eval("#tip", (tip) => ({
    hidden: tip.hidden,
    name: tip.querySelector("strong").textContent,
    facts: Object.fromEntries([...tip.querySelectorAll("dt")].map((dt) => [dt.textContent, dt.nextElementSibling.textContent])),
  }));
  assert.equal(tip.hidden, false);
  assert.match(tip.name, new RegExp(`^layer ${cell.layer}, `));
  assertShown(tip.facts.value.split(" ")[0], expected(metrics[last], cell.layer, cell.component), "tooltip");
  const known = COMPONENTS.flatMap((c) => Array.from({ length: layers }, (_, l) => expected(metrics[last], l, c))).filter((v) => v !== null);
  const mine = expected(metrics[last], cell.layer, cell.component);
  const better = known.filter((v) => (metrics[last].direction === "low" ? v < mine : v > mine)).length;
  assert.match(tip.facts.rank, new RegExp(`^${better + 1} of ${known.length}\\b`));
  assert.equal(tip.facts.shape, `${cell.out_features} × ${cell.in_features}`);
  assert.ok(tip.facts["stored as"].length > 0);

  // Another normalisation changes the numbers, and the page says which one it is.
  const raw = await table();
  await choose(last, "rank");
  assert.notDeepEqual(await table(), raw);
  assert.match(await page.textContent("#view-words"), /rank/);

  // A click on a column's name shows its profile; the arrow keys walk, with focus and words for those who listen.
  await page.click(`#map [role="button"][data-column="${column}"]`);
  const label = await page.textContent(`#map [role="button"][data-column="${column}"]`);
  assert.equal(await page.textContent("#column-title"), `${label} along depth`);
  assert.equal(await page.$$eval("#column-plot path.line:not(.faint)", (all) => all.length), 1);
  await page.click(at(0, 0));
  await page.focus(at(0, 0));
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowRight");
  const focused = await page.evaluate(() => ({ ...document.activeElement.dataset, words: document.activeElement.getAttribute("aria-label") }));
  assert.deepEqual([focused.layer, focused.column], [String(Math.min(1, layers - 1)), "1"]);
  assert.match(focused.words, /^layer \d+, attn\. k: (value|no value) /);
  assert.match(await page.textContent("#cell-name"), /attn\. k$/);

  // Layer 0 moves to the top, and the table with it.
  await page.click("#origin");
  assert.equal((await table())[0][0], "0");
  await page.click("#origin");

  // The written report is part of the page; nothing in it or in any name became an element of its own.
  assert.ok((await page.textContent(".written")).length > 200);
  assert.equal(await page.$$eval("script, style, img, iframe, object, link", (all) => all.length), 3, "one style, the data, one script");
  assert.equal(await page.$$eval("th:not([scope])", (all) => all.filter((th) => !th.closest(".written")).length), 0);

  if (shots) {
    const looks = [["light", 1280, "light"], ["dark", 1280, "dark"], ["narrow", 390, "light"]];
    for (const [name, width, colorScheme] of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 1100 });
      await page.screenshot({ path: join(shots, `report-${name}.png`) });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.equal(wider, false, `${name}: the page must not scroll sideways`);
    }
  }
  assert.deepEqual(problems, [], "no errors on the console");
  assert.deepEqual(requests, [address], "nothing is fetched but the page itself");
  process.stdout.write(`ok: ${metrics.length} metrics x ${layers} layers agree with map.json\n`);
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
