//! The walls between the crates, held against `cargo metadata` and the sources. A new wall is one row of [`WALLS`].
#![allow(clippy::unwrap_used)] // a panic in a test's own tools is its failure report too

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// What may not be, and why.
struct Wall {
    rule: Rule,
    reason: &'static str,
}

/// Names of crates are package names. "Depends" means normal and build dependencies; tests may use what they like unless
/// the rule says otherwise.
enum Rule {
    /// `crates` do not depend on `forbidden`, directly or through others.
    CannotReach { crates: &'static [&'static str], forbidden: &'static [&'static str] },
    /// `crates` do not depend on `forbidden` directly; a library of theirs may.
    CannotUse { crates: &'static [&'static str], forbidden: &'static [&'static str] },
    /// Only `allowed` depend on `dependencies` directly.
    OnlyIn { dependencies: &'static [&'static str], allowed: &'static [&'static str] },
    /// These packages are nowhere in the graph, not even for tests.
    Nowhere { packages: &'static [&'static str] },
    /// These crates of the workspace are dev-dependencies only.
    OnlyForTests { crates: &'static [&'static str] },
    /// Sources of `crates` (of all crates but `except`, when `crates` is empty) do not contain `text`.
    NotInSources { crates: &'static [&'static str], except: &'static [&'static str], text: &'static [&'static str] },
    /// Every crate's manifest opts into the lints of the workspace.
    WorkspaceLints,
    /// The workspace denies these clippy lints.
    Denied { lints: &'static [&'static str] },
}

/// Crates that later milestones add; a wall may already name them.
const PLANNED: &[&str] = &[];

const WALLS: &[Wall] = &[
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-map", "tomo-render", "tomo-plan"],
            forbidden: &["tomo-checkpoint", "tomo-model", "tomo-metrics", "tomo-quant", "faer", "safetensors"],
        },
        reason: "map, render and plan know no tensors, so that a picture or a plan can be made again from its map alone",
    },
    Wall {
        rule: Rule::CannotUse {
            crates: &["tomo-map", "tomo-render", "tomo-plan"],
            forbidden: &["half", "memmap2", "rayon"],
        },
        reason: "who wants half floats, memory maps or threads there is about to read weights",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-map"],
            forbidden: &["tomo-render", "tomo-plan", "tomo-verify", "tomo-phantom", "tomograph"],
        },
        reason: "the map is the hand-over between stages and depends on none of them",
    },
    Wall {
        rule: Rule::NotInSources {
            crates: &["tomo-map"],
            except: &[],
            text: &["std::time", "std::net", "std::env", "std::process", "SystemTime"],
        },
        reason: "the map knows no clock, no network and no environment: everything in it was handed to it",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-blocks"],
            forbidden: &[
                "tomo-checkpoint",
                "tomo-quant",
                "tomo-model",
                "tomo-metrics",
                "tomo-map",
                "memmap2",
                "safetensors",
                "rayon",
            ],
        },
        reason: "blocks turns rows into bytes and back: below checkpoint, which reads them, and quant, which asks what they lose",
    },
    Wall {
        rule: Rule::NotInSources { crates: &["tomo-blocks"], except: &[], text: &["std::fs", "std::path", "std::io"] },
        reason: "blocks knows slices and no files",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-quant"],
            forbidden: &[
                "tomo-checkpoint",
                "tomo-model",
                "tomo-metrics",
                "tomo-map",
                "memmap2",
                "safetensors",
                "tempfile",
            ],
        },
        reason: "quant simulates number formats on slices and knows no files",
    },
    Wall {
        rule: Rule::NotInSources { crates: &["tomo-quant"], except: &[], text: &["std::fs", "std::path", "std::io"] },
        reason: "quant simulates number formats on slices and knows no files",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-checkpoint"],
            forbidden: &["tomo-map", "tomo-model", "tomo-metrics", "tomo-quant", "tomo-render", "tomograph"],
        },
        reason: "checkpoint knows no models and can be published with tomo-blocks alone",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-model", "tomo-metrics"],
            forbidden: &["tomo-render", "tomo-plan", "tomo-verify", "tomograph"],
        },
        reason: "data flows one way: what measures does not know what becomes of its numbers",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-phantom"],
            forbidden: &["tomo-blocks", "tomo-checkpoint", "tomo-model", "tomo-metrics", "tomo-quant", "faer"],
        },
        reason: "the phantom shares no code with what it calibrates",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomo-text"],
            forbidden: &["tomo-map", "tomo-model", "tomo-metrics", "tomo-quant", "tomo-render", "faer", "tomograph"],
        },
        reason: "text ends at token ids: which model runs on them, and what is scored, is nothing to it",
    },
    Wall {
        rule: Rule::CannotReach { crates: &["tomo-model", "tomo-metrics"], forbidden: &["tomo-text", "tokenizers"] },
        reason: "the engine runs on token ids, so that any program's tokens can be run and a score repeated elsewhere",
    },
    Wall {
        rule: Rule::OnlyIn { dependencies: &["tokenizers"], allowed: &["tomo-text"] },
        reason: "one place knows how text becomes ids",
    },
    Wall {
        rule: Rule::Nowhere {
            packages: &[
                "tch",
                "torch-sys",
                "candle-core",
                "candle-nn",
                "candle-transformers",
                "ort",
                "ort-sys",
                "burn",
            ],
        },
        reason: "the blocks are ours and torch is a tool, never a dependency",
    },
    Wall { rule: Rule::OnlyForTests { crates: &["tomo-testkit"] }, reason: "the testkit panics; a library must not" },
    Wall {
        rule: Rule::OnlyIn {
            dependencies: &["clap", "clap_complete", "clap_mangen", "indicatif", "ctrlc"],
            allowed: &["tomograph"],
        },
        reason: "nothing but the command line parses arguments or draws progress",
    },
    Wall {
        rule: Rule::OnlyIn { dependencies: &["anyhow"], allowed: &["tomograph", "tomo-python"] },
        reason: "nothing but the command line, and what embeds it, gives up on typed errors",
    },
    Wall {
        rule: Rule::OnlyIn { dependencies: &["pyo3", "numpy"], allowed: &["tomo-python"] },
        reason: "nothing but the binding knows Python: the program needs none, and the README's commands need cargo alone",
    },
    Wall {
        rule: Rule::CannotReach {
            crates: &["tomograph", "tomo-testkit"],
            forbidden: &["tomo-python", "pyo3", "numpy"],
        },
        reason: "nothing that `cargo run` or `cargo test` builds may need a Python",
    },
    Wall {
        rule: Rule::OnlyIn {
            dependencies: &["ureq", "ring", "hf-hub", "reqwest", "object_store", "tokio"],
            allowed: &["tomo-checkpoint"],
        },
        reason: "only the hub and stores speak to a network, and nothing else waits for more than one thing",
    },
    Wall { rule: Rule::WorkspaceLints, reason: "a crate that does not opt in is not linted at all" },
    Wall {
        rule: Rule::Denied { lints: &["print_stdout", "print_stderr", "exit", "dbg_macro", "todo"] },
        reason: "nothing but the command line prints or exits",
    },
    Wall {
        rule: Rule::NotInSources {
            crates: &[],
            except: &["tomograph"],
            text: &["clippy::print_stdout", "clippy::print_stderr", "clippy::exit"],
        },
        reason: "nothing but the command line prints or exits, so nothing else may lift the lint",
    },
];

/// One crate of the workspace, as far as walls look.
#[derive(Clone, Default)]
struct Crate {
    /// Direct normal and build dependencies.
    uses: BTreeSet<String>,
    /// All of them, through others too.
    reaches: BTreeSet<String>,
    manifest: String,
    /// Text of every file below `src`, by path.
    sources: BTreeMap<PathBuf, String>,
}

#[derive(Clone)]
struct Workspace {
    crates: BTreeMap<String, Crate>,
    /// Names of all packages that anything needs, tests included.
    packages: BTreeSet<String>,
    manifest: String,
}

impl Workspace {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // Offline, and for this platform alone: what other platforms need may never have been downloaded.
        let options = ["--offline".to_owned(), format!("--filter-platform={}", host())];
        let manifest = root.join("Cargo.toml");
        let metadata = MetadataCommand::new().manifest_path(manifest).other_options(options).exec().unwrap();
        let crates = metadata.workspace_packages().into_iter().map(|package| {
            let dir = package.manifest_path.parent().unwrap().as_std_path();
            let direct = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
            let mut sources = BTreeMap::new();
            read_sources(&dir.join("src"), &mut sources);
            let facts = Crate {
                uses: direct.map(|d| d.name.clone()).collect(),
                reaches: reached(&metadata, &package.id),
                manifest: fs::read_to_string(&package.manifest_path).unwrap(),
                sources,
            };
            (package.name.to_string(), facts)
        });
        Self {
            crates: crates.collect(),
            packages: metadata.packages.iter().map(|p| p.name.to_string()).collect(),
            manifest: fs::read_to_string(root.join("Cargo.toml")).unwrap(),
        }
    }
}

/// The platform that the compiler runs on.
fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn read_sources(dir: &Path, into: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            read_sources(&entry, into);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            into.insert(entry.clone(), fs::read_to_string(&entry).unwrap());
        }
    }
}

/// Names of the packages that `from` depends on through normal and build dependencies.
fn reached(metadata: &Metadata, from: &PackageId) -> BTreeSet<String> {
    let nodes: BTreeMap<_, _> = metadata.resolve.as_ref().unwrap().nodes.iter().map(|n| (&n.id, n)).collect();
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(id) = next.pop() {
        for dep in &nodes[id].deps {
            let for_tests_only = dep.dep_kinds.iter().all(|k| k.kind == DependencyKind::Development);
            if !for_tests_only && seen.insert(&dep.pkg) {
                next.push(&dep.pkg);
            }
        }
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

/// Every breach of `rule`, as a clause each.
fn breaches(rule: &Rule, workspace: &Workspace) -> Vec<String> {
    let named = |names: &'static [&str]| names.iter().filter_map(|n| Some((*n, workspace.crates.get(*n)?)));
    let every = || workspace.crates.iter().map(|(n, c)| (n.as_str(), c));
    let mut found = Vec::new();
    match rule {
        Rule::CannotReach { crates, forbidden } => {
            for (name, krate) in named(crates) {
                let bad = forbidden.iter().filter(|f| krate.reaches.contains(**f));
                found.extend(bad.map(|f| format!("{name} depends on {f}, directly or through others")));
            }
        }
        Rule::CannotUse { crates, forbidden } => {
            for (name, krate) in named(crates) {
                let bad = forbidden.iter().filter(|f| krate.uses.contains(**f));
                found.extend(bad.map(|f| format!("{name} depends on {f}")));
            }
        }
        Rule::OnlyIn { dependencies, allowed } => {
            for (name, krate) in every().filter(|(n, _)| !allowed.contains(n)) {
                let bad = dependencies.iter().filter(|d| krate.uses.contains(**d));
                found.extend(bad.map(|d| format!("{name} depends on {d}, which only {} may", allowed.join(", "))));
            }
        }
        Rule::Nowhere { packages } => {
            let bad = packages.iter().filter(|p| workspace.packages.contains(**p));
            found.extend(bad.map(|p| format!("{p} is in the dependency graph")));
        }
        Rule::OnlyForTests { crates } => {
            for (name, krate) in every() {
                let bad = crates.iter().filter(|c| krate.uses.contains(**c));
                found.extend(bad.map(|c| format!("{name} depends on {c} outside its tests")));
            }
        }
        Rule::NotInSources { crates, except, text } => {
            let inside = |name: &str| if crates.is_empty() { !except.contains(&name) } else { crates.contains(&name) };
            for (path, source) in every().filter(|(n, _)| inside(n)).flat_map(|(_, c)| &c.sources) {
                let bad = text.iter().filter(|t| source.contains(**t));
                found.extend(bad.map(|t| format!("{} contains {t}", path.display())));
            }
        }
        Rule::WorkspaceLints => {
            let opted_in = |c: &Crate| section(&c.manifest, "[lints]").any(|line| line == "workspace = true");
            found.extend(
                every().filter(|(_, c)| !opted_in(c)).map(|(n, _)| format!("{n} has no `[lints] workspace = true`")),
            );
        }
        Rule::Denied { lints } => {
            let clippy: Vec<_> = section(&workspace.manifest, "[workspace.lints.clippy]").collect();
            let denied = |lint: &str| clippy.iter().any(|line| *line == format!("{lint} = \"deny\""));
            found.extend(lints.iter().filter(|l| !denied(l)).map(|l| format!("clippy::{l} is not denied")));
        }
    }
    found
}

/// Lines of one section of a manifest.
fn section<'a>(manifest: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = manifest.lines().map(str::trim).skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

/// The first crate of `names` that exists.
fn first<'a>(crates: &'a mut BTreeMap<String, Crate>, names: &[&str]) -> &'a mut Crate {
    let name = names.iter().find(|n| crates.contains_key(**n)).unwrap();
    crates.get_mut(*name).unwrap()
}

/// The workspace with a breach of `rule` put in.
fn breached(rule: &Rule, workspace: &Workspace) -> Workspace {
    let mut broken = workspace.clone();
    let all = &mut broken.crates;
    match rule {
        Rule::CannotReach { crates, forbidden } => drop(first(all, crates).reaches.insert(forbidden[0].to_owned())),
        Rule::CannotUse { crates, forbidden } => drop(first(all, crates).uses.insert(forbidden[0].to_owned())),
        Rule::OnlyIn { dependencies, .. } => drop(first(all, &["tomo-map"]).uses.insert(dependencies[0].to_owned())),
        Rule::OnlyForTests { crates } => drop(first(all, &["tomo-map"]).uses.insert(crates[0].to_owned())),
        Rule::NotInSources { crates, text, .. } => {
            let crates: &[&str] = if crates.is_empty() { &["tomo-map"] } else { crates };
            drop(first(all, crates).sources.insert("src/broken.rs".into(), format!("use {};", text[0])));
        }
        Rule::WorkspaceLints => {
            first(all, &["tomo-map"]).manifest = "[lints]\n[package]\nworkspace = true\n".to_owned()
        }
        Rule::Nowhere { packages } => drop(broken.packages.insert(packages[0].to_owned())),
        Rule::Denied { lints } => {
            broken.manifest = broken.manifest.replace(&format!("\n{} = \"deny\"", lints[0]), "\n");
        }
    }
    broken
}

#[test]
fn the_walls_hold() {
    let workspace = Workspace::read();
    let report: Vec<String> = WALLS
        .iter()
        .flat_map(|wall| breaches(&wall.rule, &workspace).into_iter().map(|b| format!("{b}\n    {}", wall.reason)))
        .collect();
    assert!(report.is_empty(), "\n{}", report.join("\n"));
}

#[test]
fn every_wall_can_fall() {
    let workspace = Workspace::read();
    for (row, wall) in WALLS.iter().enumerate() {
        let before = breaches(&wall.rule, &workspace).len();
        let after = breaches(&wall.rule, &breached(&wall.rule, &workspace)).len();
        assert_eq!(after, before + 1, "row {row}: {}", wall.reason);
    }
}

#[test]
fn walls_name_crates_that_exist() {
    let workspace = Workspace::read();
    let known = |name: &&str| workspace.crates.contains_key(*name) || PLANNED.contains(name);
    for wall in WALLS {
        let names: &[&str] = match &wall.rule {
            Rule::CannotReach { crates, .. } | Rule::CannotUse { crates, .. } | Rule::OnlyForTests { crates } => crates,
            Rule::OnlyIn { allowed, .. } => allowed,
            Rule::NotInSources { crates, except, .. } => {
                if crates.is_empty() {
                    except
                } else {
                    crates
                }
            }
            Rule::Nowhere { .. } | Rule::WorkspaceLints | Rule::Denied { .. } => &[],
        };
        let unknown: Vec<_> = names.iter().filter(|n| !known(n)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in the wall: {}", wall.reason);
        assert!(wall.reason.len() > 20);
    }
}

#[test]
fn the_graph_is_read_right() {
    // Known edges, so that an empty graph cannot pass for a sound one.
    let workspace = Workspace::read();
    assert!(workspace.crates["tomo-model"].reaches.contains("tomo-checkpoint"));
    assert!(workspace.crates["tomo-metrics"].reaches.contains("memmap2"), "through tomo-checkpoint");
    assert!(!workspace.crates["tomo-testkit"].uses.contains("cargo_metadata"), "a dev-dependency");
    assert!(workspace.packages.contains("cargo_metadata"));
    assert!(workspace.crates.values().all(|c| !c.sources.is_empty()));
}
