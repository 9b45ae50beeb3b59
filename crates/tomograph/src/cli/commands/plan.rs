use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::json;
use tomo_map::significant;
use tomo_plan::{
    Ask, Baseline, Choice, Client, CostModel, Keep, Kind, Options, Plan, PlanError, Recipe, Stored, baseline,
    find_client, make_plan, recipes,
};
use tomo_render::escape::plain;

use super::{Context, Exit};
use crate::cli::files::{self, read_map};
use crate::cli::numbers::{bytes, count};
use crate::cli::output::Look;
use crate::cli::table;
use crate::planning;

/// Make a plan under a budget from maps, and the files that the program which acts on it accepts
///
/// For instance: tomograph map MODEL --metric quant-kl-q4_0,err-q4_0,err-q5_0,err-q8_0 --out map; tomograph plan map --target 5.5bpw
/// --for llama.cpp -o plan; tomograph verify plan --text HELD_OUT; tomograph quantize MODEL plan -o OUT.gguf
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Maps of one model: map.json files, or the folders that hold them; of a metric that several have, the first counts
    #[arg(value_name = "MAP", required = true)]
    maps: Vec<PathBuf>,

    /// The program that will act on the plan (see: list clients)
    #[arg(long = "for", value_name = "CLIENT")]
    client: String,

    /// Folder for plan.json and the recipe [default: plan-CLIENT]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// What is decided for every cell [default: what the client is mostly for]
    #[arg(long, value_enum)]
    kind: Option<Decides>,

    #[command(flatten)]
    budget: Budget,

    /// Types that cells may get, as `--change` takes them: q4_0,q5_0,q8_0 or int3:g64,int4:g64 [default: the client's usual ones]
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    types: Vec<Stored>,

    /// What must hold: attn.v>=q5_0, L0-3=q8_0, mlp<=q4_0, embedding=q8_0; may be repeated
    #[arg(long, value_name = "RULE")]
    keep: Vec<Keep>,

    /// Where costs come from: measured, scaled (measured at another type, times the squared error), predicted, alpha, weights, or a metric
    #[arg(long, value_name = "HOW|ID", default_value = "auto")]
    cost: CostModel,

    /// Store q, k and v alike, and gate and up; where the client joins them when it loads them, that is so without asking
    #[arg(long)]
    fuse: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    look: Look,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Budget {
    /// Bits per weight of the cells, scales counted (4.5bpw), or as many bytes as a mix of llama.cpp takes (like:q4_k_m)
    #[arg(long, value_name = "BPW")]
    target: Option<String>,

    /// Bytes of the whole file: 84MB, 80MiB
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,

    /// Share of the cells' bytes in the checkpoint, or of the weights removed: 0.3, 30%
    #[arg(long, value_name = "SHARE")]
    ratio: Option<String>,

    /// Parameters that are trained: 2M
    #[arg(long, value_name = "N")]
    parameters: Option<String>,

    /// As many parameters as LoRA of this rank everywhere
    #[arg(long, value_name = "RANK")]
    rank: Option<String>,

    /// Share of the cells of every column that is trained, as Spectrum does: 25%
    #[arg(long, value_name = "SHARE")]
    top: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Decides {
    /// How it is stored
    Bits,
    /// The rank of its LoRA pair
    Rank,
    /// Whether it is trained
    Train,
    /// Which share of its weights is removed
    Sparsity,
}

impl From<Decides> for Kind {
    fn from(decides: Decides) -> Self {
        match decides {
            Decides::Bits => Self::Bits,
            Decides::Rank => Self::Rank,
            Decides::Train => Self::Train,
            Decides::Sparsity => Self::Sparsity,
        }
    }
}

impl Budget {
    fn ask(&self) -> anyhow::Result<Ask> {
        let Self { target, size, ratio, parameters, rank, top } = self;
        let asked = [
            target.as_deref().map(Ask::target),
            size.as_deref().map(Ask::size),
            ratio.as_deref().map(Ask::ratio),
            parameters.as_deref().map(Ask::parameters),
            rank.as_deref().map(Ask::rank),
            top.as_deref().map(Ask::top),
        ];
        match asked.into_iter().flatten().next() {
            Some(ask) => Ok(ask?),
            None => bail!("a plan needs a budget: --target, --size, --ratio, --parameters, --rank or --top"),
        }
    }

    /// What kind of plan the budget makes sense for, where it says.
    fn kind(&self, client: &Client) -> Option<Kind> {
        let fitting = match self {
            Self { rank: Some(_), .. } => Kind::Rank,
            Self { top: Some(_), .. } => Kind::Train,
            Self { target: Some(_), .. } | Self { size: Some(_), .. } => Kind::Bits,
            _ => return None,
        };
        client.kinds.contains(&fitting).then_some(fitting)
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let client = find_client(&self.client)?;
        let ask = self.budget.ask()?;
        let usual = self.budget.kind(client).or_else(|| client.kinds.first().copied()).unwrap_or(Kind::Bits);
        let kind = self.kind.map_or(usual, Kind::from);
        let maps = self.maps.iter().map(|path| read_map(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let map = planning::merge(maps)?;
        let options = Options {
            types: self.types.clone(),
            cost: self.cost.clone(),
            keep: self.keep.clone(),
            fuse: self.fuse,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: context.typed.clone(),
            ..Options::new(kind, ask)
        };
        let plan = make_plan(&map, client, &options)?;
        let files = recipes(client, &plan)?;
        let folder = self.output.clone().unwrap_or_else(|| PathBuf::from(format!("plan-{}", client.id)));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        self.write(&plan, &files, &folder)?;
        let without = match kind {
            Kind::Bits => {
                write_baselines(&folder.join(BASELINES), |which| baseline(&map, client, &options, &plan, which))?
            }
            Kind::Rank | Kind::Train | Kind::Sparsity => Vec::new(),
        };
        if self.json {
            let printed = json!({
                "plan": folder.join(PLAN_JSON), "client": client.id, "kind": plan.kind, "budget": plan.budget, "totals": plan.totals,
                "cost": plan.cost, "recipes": files.iter().map(|file| folder.join(&file.name)).collect::<Vec<_>>(),
                "notes": plan.about.notes, "without_baselines": without,
            });
            writeln!(context.streams.out, "{}", serde_json::to_string_pretty(&printed)?)?;
            return Ok(Exit::Success);
        }
        print(&plan, context)?;
        let width = context.streams.terminal.width.max(20);
        for reason in &without {
            writeln!(context.streams.out, "{}", textwrap::fill(&format!("note: {}", plain(reason, 1000)), width))?;
        }
        print_files(&files, &folder, context)?;
        Ok(Exit::Success)
    }

    fn write(&self, plan: &Plan, recipes: &[Recipe], folder: &Path) -> anyhow::Result<()> {
        files::write_whole(&folder.join(PLAN_JSON), plan.to_json()?.as_bytes())?;
        for recipe in recipes {
            files::write_whole(&folder.join(&recipe.name), recipe.text.as_bytes())?;
        }
        let png = tomo_render::Format::from_id("png")?;
        let drawn = self.look.draw(&planning::picture(plan), None, png, tomo_render::Terminal::default())?;
        files::write_whole(&folder.join("plan.png"), &drawn)
    }
}

pub(super) const PLAN_JSON: &str = "plan.json";
/// Folder of what the plan is held against, beside it.
pub(super) const BASELINES: &str = "baselines";
/// Plans made of costs that were dealt out at random.
pub(super) const RANDOM: u64 = 5;

/// Writes what `verify` holds the plan against; says which baselines there are none of, and why.
fn write_baselines(folder: &Path, make: impl Fn(Baseline) -> Result<Plan, PlanError>) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let random = (0..RANDOM).map(|seed| (format!("random-{seed}"), Baseline::Random(seed)));
    let others = [("uniform", Baseline::Uniform), ("rule", Baseline::Rule), ("inverted", Baseline::Inverted)];
    let all = others.map(|(name, which)| (name.to_owned(), which)).into_iter().chain(random);
    let mut without = Vec::new();
    for (name, which) in all {
        let path = folder.join(format!("{name}.json"));
        match make(which) {
            Ok(baseline) => files::write_whole(&path, baseline.to_json()?.as_bytes())?,
            Err(reason) => {
                // One of an earlier plan must not be taken for one of this.
                let _ = std::fs::remove_file(&path);
                // The rest of an error is for whoever reads it on its own.
                let reason = reason.to_string();
                without.push(format!("no baseline {name}: {}", reason.lines().next().unwrap_or_default()));
            }
        }
    }
    Ok(without)
}

/// How often each choice was made in every column.
fn print(plan: &Plan, context: &mut Context<'_>) -> anyhow::Result<()> {
    let width = context.streams.terminal.width;
    let out = &mut context.streams.out;
    let name = |choice: &Choice| match choice {
        Choice::Stored(stored) => stored.to_string(),
        Choice::Rank { rank, .. } => format!("rank {rank}"),
        Choice::Train(true) => "trained".to_owned(),
        Choice::Train(false) => "frozen".to_owned(),
        Choice::Sparsity(share) => format!("{:.0} % removed", 100.0 * share),
    };
    // From the smallest to the largest, as far as sizes tell.
    let mut choices: BTreeMap<String, (f64, BTreeMap<_, usize>)> = BTreeMap::new();
    for cell in &plan.cells {
        let size = cell.size as f64 / cell.numel().max(1) as f64;
        let (sizes, counts) = choices.entry(name(&cell.choice)).or_default();
        *sizes = sizes.max(size);
        *counts.entry(cell.id.component).or_default() += 1;
    }
    let mut rows: Vec<_> = choices.into_iter().collect();
    rows.sort_by(|a, b| a.1.0.total_cmp(&b.1.0));
    let components: Vec<_> =
        tomo_map::Component::ALL.into_iter().filter(|c| plan.cells.iter().any(|d| d.id.component == *c)).collect();
    let mut heading = vec!["cells".to_owned()];
    heading.extend(components.iter().map(ToString::to_string));
    let mut printed = table::Table::new(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    for (choice, (_, counts)) in rows {
        let counts = components.iter().map(|c| counts.get(c).map_or_else(|| "-".to_owned(), ToString::to_string));
        printed.row(std::iter::once(choice).chain(counts).collect());
    }
    printed.print(width, out)?;
    let totals = &plan.totals;
    let wrap = |text: &str| textwrap::fill(text, width.max(20));
    let what = match plan.kind {
        Kind::Bits => bytes(totals.cells),
        Kind::Rank | Kind::Train => format!("{} parameters", count(totals.cells)),
        Kind::Sparsity => format!("{} weights removed", count(totals.cells)),
    };
    let file = totals.file.map_or_else(String::new, |file| format!("; the file: {} bytes", count(file)));
    let bits =
        totals.bits_per_weight.map_or_else(String::new, |bits| format!(" ({} bits per weight)", significant(bits, 4)));
    writeln!(out, "{}", wrap(&format!("size: {what}{bits} of at most {}{file}", count(plan.budget.limit))))?;
    let gap = 100.0 * ((totals.cost - totals.bound) / totals.cost.abs().max(f64::MIN_POSITIVE)).abs();
    let verb = if matches!(plan.kind, Kind::Rank | Kind::Train) { "worth" } else { "expected cost" };
    let sum = format!(
        "{verb}: {} {}, within {gap:.2} % of the best there is; {}",
        significant(totals.cost, 4),
        plan.cost.unit,
        plan.cost.how
    );
    writeln!(out, "{}", wrap(&plain(&sum, 1000)))?;
    if plan.cost.proxy {
        let advice = if plan.kind == Kind::Bits { ". Verify the plan." } else { "." };
        let proxy = format!("These costs are a proxy: nothing of them was measured by changing cells{advice}");
        writeln!(out, "{}", wrap(&proxy))?;
    }
    for note in &plan.about.notes {
        writeln!(out, "{}", wrap(&format!("note: {}", plain(note, 1000))))?;
    }
    Ok(())
}

fn print_files(recipes: &[Recipe], folder: &Path, context: &mut Context<'_>) -> anyhow::Result<()> {
    let out = &mut context.streams.out;
    writeln!(out)?;
    for (name, usage) in recipes
        .iter()
        .map(|r| (r.name.as_str(), r.usage.as_str()))
        .chain([(PLAN_JSON, "the plan; tomograph verify and quantize take it")])
    {
        writeln!(out, "  {}  {}", folder.join(name).display(), usage)?;
    }
    Ok(())
}
