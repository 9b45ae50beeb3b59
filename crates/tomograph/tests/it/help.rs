use tomograph::cli::Exit;

use crate::harness::run;

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let help = run(["--help"]).ended(Exit::Success).out;
    for word in
        ["map", "show", "diff", "agree", "inspect", "list", "explain", "demo", "completions", "man", "130 interrupted"]
    {
        assert!(help.contains(word), "{word:?} is missing from:\n{help}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error_on_stderr() {
    let outcome = run(["map"]).ended(Exit::Usage);
    assert_eq!(outcome.out, "");
    assert!(outcome.err.contains("<MODEL>"), "{}", outcome.err);
    run(["nonsense"]).ended(Exit::Usage);
    run(["map", "model", "--group", "0"]).ended(Exit::Usage);
}

#[test]
fn every_listed_id_can_be_explained() {
    for what in ["metrics", "families", "formats", "normalisations", "quantizations", "edits"] {
        let listed = run(["list", what, "--json"]).ended(Exit::Success).json();
        let rows = listed.as_array().expect("a list");
        assert!(!rows.is_empty(), "{what} is empty");
        let plain = run(["list", what]).ended(Exit::Success).out;
        for row in rows {
            let id = row["id"].as_str().expect("an id");
            assert!(plain.contains(id), "{id} is not in the plain list of {what}");
            let explained = run(["explain", id]).ended(Exit::Success).out;
            assert!(explained.lines().count() > 3, "the manual of {id} is empty:\n{explained}");
        }
    }
}

#[test]
fn an_unknown_id_suggests_a_near_one() {
    let err = run(["explain", "stable-rnk"]).ended(Exit::Failure).err;
    assert!(err.contains("stable-rank"), "{err}");
}

#[test]
fn completions_and_the_manual_come_from_the_same_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(["completions", shell]).ended(Exit::Success).out;
        assert!(script.contains("inspect"), "{shell}");
    }
    let page = run(["man"]).ended(Exit::Success).out;
    assert!(page.contains("tomograph"), "{page}");
}
