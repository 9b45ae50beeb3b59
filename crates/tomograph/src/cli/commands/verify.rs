use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use tomo_map::significant;
use tomo_model::{CellOverride, Model};
use tomo_plan::{Plan, Stored};
use tomo_render::escape::plain;
use tomo_verify::proof::{Proof, Role, Verdict};

use super::model_args::locate;
use super::plan::{BASELINES, PLAN_JSON, RANDOM};
use super::run_args::{RunArgs, weights};
use super::{Context, Exit};
use crate::cli::numbers::{bytes, count, seconds};
use crate::cli::progress::Bar;
use crate::cli::{files, proof_table};
use crate::proof::{self, Candidate, Trial};
use crate::proof_file::{self, Circumstances};
use crate::refined::Refining;
use crate::run::{Run, TextRequest};
use crate::scan;

/// Say whether a plan helps: the model stored as it says, beside others of the same size, on a held-out text
///
/// Runs the model as it is, as the plan stores it, and as uniform storage, the client's own rule, random plans and the inverted plan do in as
/// many bytes, all on the same tokens. The verdict: helps, no difference, or hurts, by the 95 % interval of the paired difference of KL; it is
/// the worse of those against uniform and the client's rule. Exit code 0, 3 or 4. The text must be another than the map's.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A plan.json, or the folder that holds it
    #[arg(value_name = "PLAN")]
    plan: PathBuf,

    /// The model [default: the one that the plan was made for]
    #[arg(value_name = "MODEL")]
    model: Option<String>,

    #[command(flatten)]
    run: RunArgs,

    /// What the plan is held against, of what `tomograph plan` left in the folder baselines beside it
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Baseline::ALL)]
    baselines: Vec<Baseline>,

    /// Another plan to run beside it, by a name of yours; may be repeated
    #[arg(long, value_name = "NAME=PLAN")]
    beside: Vec<NamedPlan>,

    /// First refine the plan: spend so many more runs of changed models on swaps around it, and write plan.refined.json beside it
    #[arg(long, value_name = "N", requires = "calibration", value_parser = clap::value_parser!(u32).range(1..))]
    refine: Option<u32>,

    #[command(flatten)]
    on: Calibrate,

    /// What cells may be stored as when refining, e.g. q4_0,q5_0,q8_0 [default: the types that the plan has]
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "refine")]
    types: Vec<Stored>,

    /// Apply the plan though it was made for other weights
    #[arg(long)]
    force: bool,

    /// Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    #[arg(long = "cell", value_name = "COMPONENT=PATTERN")]
    cells: Vec<CellOverride>,

    /// Seed of everything random: windows of the text, resamples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,

    /// Write everything to a file, by its ending .md, .json or .csv; may be repeated
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// On which text a plan is refined.
#[derive(clap::Args)]
struct Calibrate {
    /// Files of the text that swaps are measured on: the map's own, or any but the held-out one
    #[arg(long = "calibrate", value_name = "FILE", num_args = 1.., group = "calibration")]
    calibrate_files: Vec<PathBuf>,

    /// Measure swaps on exactly these tokens, as --save-token-ids writes them
    #[arg(long = "calibrate-ids", value_name = "FILE", group = "calibration", conflicts_with = "calibrate_files")]
    calibrate_ids: Option<PathBuf>,

    /// Tokens to measure swaps on
    #[arg(long = "calibrate-tokens", value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(2..))]
    calibrate_tokens: u32,
}

/// What a plan is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Baseline {
    Uniform,
    Rule,
    Random,
    Inverted,
    None,
}

impl Baseline {
    const ALL: [Self; 4] = [Self::Uniform, Self::Rule, Self::Random, Self::Inverted];

    /// Names of its plans, without their ending.
    fn files(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Random => (0..RANDOM).map(|seed| format!("random-{seed}")).collect(),
            one => vec![one.to_string()],
        }
    }
}

impl std::fmt::Display for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Rule => "rule",
            Self::Random => "random",
            Self::Inverted => "inverted",
            Self::None => "none",
        })
    }
}

/// `NAME=PLAN`, where NAME may be the role that it plays: `uniform=plans/uniform.json`.
#[derive(Clone, Debug)]
struct NamedPlan {
    name: String,
    path: PathBuf,
}

impl FromStr for NamedPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.trim().is_empty() && !path.is_empty() => {
                Ok(Self { name: name.trim().to_owned(), path: PathBuf::from(path) })
            }
            _ => Err("expected NAME=PLAN, e.g. weights-alone=other/plan.json".to_owned()),
        }
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        // Before anything is computed that then has no place to go.
        let writers: Vec<Writer> = self.output.iter().map(|path| writer(path)).collect::<anyhow::Result<_>>()?;
        ensure!(
            self.run.names_text(),
            "a held-out text is needed\n  hint: --text FILE, another text than the one that the map was made from"
        );
        let plan = read_plan(&self.plan)?;
        proof::check_kind(&plan)?;
        let model = self.open(&plan, context)?;
        let threads = self.threads.map(usize::try_from).transpose()?;
        let run = self.run.prepare(&model, self.seed, threads, context)?;
        let mut about = self.circumstances(&plan, &model, &run)?;
        about.notes.extend(proof::check_text(&plan.about, &run.windows)?);
        let mut candidates = self.candidates(plan, &mut about.notes)?;
        context.streams.listen();
        if self.refine.is_some() {
            let Some(refined) = self.refined(&model, &candidates[0].plan, &run, &mut about, context)? else {
                writeln!(context.streams.err, "interrupted: nothing was found")?;
                return Ok(Exit::Interrupted);
            };
            let before = std::mem::replace(&mut candidates[0].plan, refined);
            let name = "before refining".to_owned();
            candidates.insert(1, Candidate { name, role: Role::Before, plan: before });
        }
        let trial = Trial::new(&run, candidates, self.seed)?;
        about.notes.extend(trial.notes.iter().map(ToString::to_string));
        announce(&trial, &run, context)?;
        let clock = std::time::Instant::now();
        let bar = Bar::new(context.streams);
        let outcome = trial.run(&bar);
        bar.clear();
        let Some(proof) = outcome? else {
            writeln!(context.streams.err, "interrupted: nothing was found")?;
            return Ok(Exit::Interrupted);
        };
        writeln!(context.streams.err, "took {}", seconds(clock.elapsed().as_secs_f64()))?;
        for (path, write) in self.output.iter().zip(writers) {
            files::write_whole(path, &write(&proof, &about)?)?;
        }
        let width = context.streams.terminal.width;
        let out = &mut context.streams.out;
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&proof_file::to_json(&proof, &about)?)?)?;
        } else {
            proof_table::print(&proof, &about, width, out)?;
        }
        Ok(match proof.verdict {
            Some(Verdict::Helps) => Exit::Success,
            Some(Verdict::NoDifference) | None => Exit::NoDifference,
            Some(Verdict::Hurts) => Exit::Hurts,
        })
    }

    fn open(&self, plan: &Plan, context: &mut Context<'_>) -> anyhow::Result<Arc<Model>> {
        let name = self.model.as_deref().unwrap_or(&plan.about.model);
        let hint = || match self.model {
            Some(_) => format!("cannot use the model {name:?}"),
            None => {
                format!("cannot use {name:?}, the model that the plan was made for\n  hint: name it behind the plan")
            }
        };
        let path = locate(name, context).with_context(hint)?;
        let model = Arc::new(scan::open(&path, &self.cells).with_context(hint)?);
        match proof::check_model(plan, &model) {
            Err(error) if self.force => {
                let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                writeln!(context.streams.err, "note: {first}; it is applied all the same")?;
            }
            checked => checked?,
        }
        Ok(model)
    }

    /// The plan refined on another text than the held-out one, written beside the plan; `None` when it was cancelled.
    fn refined(
        &self,
        model: &Arc<Model>,
        plan: &Plan,
        held_out: &Run,
        about: &mut Circumstances,
        context: &mut Context<'_>,
    ) -> anyhow::Result<Option<Plan>> {
        let threads = self.threads.map(usize::try_from).transpose()?;
        let request = TextRequest {
            files: self.on.calibrate_files.clone(),
            token_ids: self.on.calibrate_ids.clone(),
            tokens: usize::try_from(self.on.calibrate_tokens)?,
            ..self.run.text(self.seed)?
        };
        let run = Run::new(model, &request, &self.run.options(threads), context.streams.input.as_mut())?;
        let what = "the text that the plan is refined on";
        about.notes.push(proof::check_overlap(&held_out.windows, &run.windows.passages(), what)?);
        let refining = Refining::new(&run, plan, &self.types, self.refine.unwrap_or(0), self.seed)?;
        let err = &mut context.streams.err;
        for note in run.windows.notes.iter().chain(&refining.notes()) {
            writeln!(err, "note: {note}")?;
        }
        let on = plain(&run.windows.description, 200);
        writeln!(err, "refining by {} measurements on {on}", count(self.refine.unwrap_or(0).into()))?;
        let clock = std::time::Instant::now();
        let bar = Bar::new(context.streams);
        let outcome = refining.run(&context.typed, &bar);
        bar.clear();
        let Some((refined, how)) = outcome? else { return Ok(None) };
        for step in &how.steps {
            writeln!(context.streams.err, "{}", proof_file::step_sentence(step))?;
        }
        let path = folder_of(&self.plan).join(REFINED);
        files::write_whole(&path, refined.to_json()?.as_bytes())?;
        let took = seconds(clock.elapsed().as_secs_f64());
        writeln!(context.streams.err, "refined in {took}: {}", path.display())?;
        about.refined = Some((how, run.windows.description.clone()));
        Ok(Some(refined))
    }

    fn circumstances(&self, plan: &Plan, model: &Model, run: &Run) -> anyhow::Result<Circumstances> {
        Ok(Circumstances {
            plan: self.plan.display().to_string(),
            model: self.model.clone().unwrap_or_else(|| plan.about.model.clone()),
            model_digest: model.source().digest()?,
            text: run.windows.description.clone(),
            text_digest: run.windows.digest(),
            seed: self.seed,
            notes: vec![NOT_CELLS.to_owned()],
            refined: None,
        })
    }

    /// The plan and what it is held against.
    fn candidates(&self, plan: Plan, notes: &mut Vec<String>) -> anyhow::Result<Vec<Candidate>> {
        let mut candidates = vec![Candidate { name: "this plan".to_owned(), role: Role::Ours, plan }];
        let folder = folder_of(&self.plan).join(BASELINES);
        let (mut found, mut lacking) = (Vec::new(), Vec::new());
        for baseline in self.baselines.iter().filter(|baseline| **baseline != Baseline::None) {
            let before = found.len();
            for stem in baseline.files() {
                let path = folder.join(format!("{stem}.json"));
                if path.exists() {
                    found.push(NamedPlan { name: stem, path });
                }
            }
            if found.len() == before {
                lacking.push(baseline.to_string());
            }
        }
        // What the user names takes the place of what lies there.
        found.retain(|own| self.beside.iter().all(|named| named.name != own.name));
        lacking.retain(|own| self.beside.iter().all(|named| named.name != *own));
        for NamedPlan { name, path } in found.iter().chain(&self.beside) {
            let plan = read_plan(path)?;
            candidates.push(Candidate { name: name.clone(), role: role_of(name), plan });
        }
        ensure!(
            candidates.len() > 1,
            "there is nothing to hold the plan against\n  expected: plans in {}, as tomograph plan leaves them\n  hint: --beside \
             uniform=PLAN names one",
            folder.display()
        );
        if !lacking.is_empty() {
            notes.push(format!("not held against {}: {} has no such plan", lacking.join(", "), folder.display()));
        }
        Ok(candidates)
    }
}

/// The refined plan, beside the plan.
const REFINED: &str = "plan.refined.json";

fn folder_of(plan: &Path) -> PathBuf {
    if plan.is_dir() { plan.to_owned() } else { plan.parent().unwrap_or(Path::new("")).to_owned() }
}

/// What is the same in all arms, whatever the plans say.
const NOT_CELLS: &str =
    "embedding, head and whatever else is no cell are as the model has them, in all arms; bytes are those of the cells";

/// A plan called as a role plays that role.
fn role_of(name: &str) -> Role {
    match name {
        "uniform" => Role::Uniform,
        "rule" => Role::Rule,
        "inverted" => Role::Inverted,
        name if name.starts_with("random") => Role::Random,
        _ => Role::Other,
    }
}

/// Reads a plan from its file, or from the folder that `plan` wrote.
fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let file = if path.is_dir() { path.join(PLAN_JSON) } else { path.to_owned() };
    let json = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Plan::from_json(&json).with_context(|| format!("cannot understand {}", file.display()))
}

type Writer = fn(&Proof, &Circumstances) -> anyhow::Result<Vec<u8>>;

fn writer(path: &Path) -> anyhow::Result<Writer> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    Ok(match ending.as_deref() {
        Some("md") => |proof, about| Ok(proof_file::to_markdown(proof, about).into_bytes()),
        Some("json") => |proof, about| {
            let mut bytes = serde_json::to_vec_pretty(&proof_file::to_json(proof, about)?)?;
            bytes.push(b'\n');
            Ok(bytes)
        },
        Some("csv") => |proof, _| {
            let mut bytes = Vec::new();
            proof_file::write_csv(proof, &mut bytes)?;
            Ok(bytes)
        },
        _ => bail!("cannot tell the format of {}: expected a name that ends in .md, .json or .csv", path.display()),
    })
}

/// Says what will run and what it takes.
fn announce(trial: &Trial<'_>, run: &Run, context: &mut Context<'_>) -> anyhow::Result<()> {
    let err = &mut context.streams.err;
    writeln!(err, "text: {}", plain(&run.windows.description, 200))?;
    for (candidate, size) in trial.arms() {
        writeln!(err, "arm: {}, cells of {} bytes", plain(&candidate.name, 60), count(size))?;
    }
    let plan = &trial.plan;
    let tflop = significant(plan.operations as f64 / 1e12, 2);
    writeln!(
        err,
        "memory: about {}, {}; reads {}, {tflop} TFLOP in {} rounds",
        bytes(plan.bytes + proof::SHARED_BYTES),
        weights(plan.resident),
        bytes(plan.read_bytes),
        plan.rounds.len(),
    )?;
    Ok(())
}
