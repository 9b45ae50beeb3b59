//! What holds for every client, and the matching rules beside the clients' own code.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use serde::Deserialize;

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run};
use super::*;

#[test]
fn ids_are_unique_and_headers_are_manuals() {
    assert_eq!(CLIENTS.iter().map(|client| client.id).collect::<BTreeSet<_>>().len(), CLIENTS.len());
    for (client, module) in CLIENTS.iter().zip(MODULES) {
        let plain = |text: &str| text.replace(['.', '-', '_'], "");
        assert_eq!(plain(client.id), plain(module));
        assert!(client.source.contains(&format!("id: \"{}\"", client.id)), "{module} includes another file's source");
        let manual = tomo_map::manual(client.source);
        let mut from = 0;
        for heading in ["# Files", "# Command", "# Bytes", "# Traps", "# Source"] {
            let at = manual[from..].find(heading).unwrap_or_else(|| panic!("{module} lacks {heading}"));
            assert!(manual[from + at + heading.len()..].trim().len() > 10, "{module}: {heading} is empty");
            from += at;
        }
    }
}

#[test]
fn types_are_readable_go_up_in_bytes_and_hold_the_usual_ones() {
    for client in CLIENTS {
        assert_eq!(client.types.is_empty(), !client.kinds.contains(&Kind::Bits), "{}", client.id);
        let mut last = 0;
        for text in client.types {
            let stored: Stored = text.parse().unwrap();
            assert!(client.has(stored), "{}: {text}", client.id);
            assert!((client.fits)(stored, 1024), "{}: {text}", client.id);
            let bytes = (client.bytes)(stored, 4096, 4096);
            assert!(bytes >= last, "{}: {text} takes less than what stands before it", client.id);
            last = bytes;
        }
        for text in client.usual {
            assert!(client.types.contains(text), "{}: {text}", client.id);
            assert!((client.fits)(text.parse().unwrap(), 576), "{}: {text} does not fit SmolLM2", client.id);
        }
    }
}

#[derive(Deserialize)]
struct Size {
    rows: u64,
    columns: u64,
    stored: String,
    bytes: u64,
}

/// What the clients' own code stores; see tools/reference/clients/bytes.py.
#[test]
fn bytes_are_those_of_the_clients() {
    let text = include_str!("../../../../fixtures/clients/bytes.json");
    let fixture: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for (id, sizes) in fixture["clients"].as_object().unwrap() {
        let client = find(id).unwrap();
        for Size { rows, columns, stored, bytes } in serde_json::from_value::<Vec<Size>>(sizes.clone()).unwrap() {
            let stored: Stored = stored.parse().unwrap();
            assert!(client.has(stored) && (client.fits)(stored, columns), "{id}: {stored}");
            assert_eq!((client.bytes)(stored, rows, columns), bytes, "{id}: {rows} x {columns} as {stored}");
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}

#[derive(Deserialize)]
struct Table {
    names: Vec<String>,
    patterns: Vec<Matches>,
}

#[derive(Deserialize)]
struct Matches {
    pattern: String,
    matches: Vec<String>,
}

fn hits(matcher: &Matcher, name: &str) -> bool {
    let wants = Some("x".to_owned());
    let rule = Rule { pattern: String::new(), matcher: matcher.clone(), says: "x".to_owned() };
    dry_run(&[rule], Wins::First, &[Subject { name: name.to_owned(), what: String::new(), wants }]).is_ok()
}

/// What std::regex, peft, axolotl, GPTQModel, compressed-tensors and Python's fnmatch match; see tools/reference/clients/rules.py.
#[test]
fn patterns_match_what_the_clients_own_code_matches() {
    let text = include_str!("../../../../fixtures/clients/rules.json");
    let fixture: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for (rule, table) in fixture["rules"].as_object().unwrap() {
        let Table { names, patterns } = serde_json::from_value(table.clone()).unwrap();
        for Matches { pattern, matches } in patterns {
            let matcher = match rule.as_str() {
                "search" => Matcher::search(&pattern),
                "at-start" | "target" => Matcher::at_start(&pattern),
                "tail" => Matcher::tail(&pattern),
                "target-module" => Ok(Matcher::Tail(pattern.clone())),
                "unfrozen" => axolotl::entry(&pattern).map(|rule| rule.matcher),
                "wildcard" => Matcher::wildcard(&pattern),
                other => panic!("{other}"),
            };
            let found: Vec<&String> = names.iter().filter(|name| hits(matcher.as_ref().unwrap(), name)).collect();
            assert_eq!(found, matches.iter().collect::<Vec<_>>(), "{rule}: {pattern}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
}

fn rule(pattern: &str, says: &str) -> Rule {
    Rule { pattern: pattern.to_owned(), matcher: Matcher::search(pattern).unwrap(), says: says.to_owned() }
}

fn subject(name: &str, wants: Option<&str>) -> Subject {
    Subject { name: name.to_owned(), what: "a tensor".to_owned(), wants: wants.map(str::to_owned) }
}

#[test]
fn a_dry_run_says_which_rule_does_what_it_should_not() {
    let subjects = [subject("l.1.q", Some("high")), subject("l.11.q", Some("low")), subject("norm", None)];
    let cases: &[(&[Rule], Wins, &str)] = &[
        (&[rule(r"^l\.1\.q$", "high"), rule(r"^l\.11\.q$", "low")], Wins::First, ""),
        (&[rule(r"^l\.1\.q$", "high"), rule("q", "low")], Wins::First, ""),
        (&[rule("q", "low"), rule(r"^l\.1\.q$", "high")], Wins::Last, ""),
        (&[rule("q", "low"), rule(r"^l\.1\.q$", "high")], Wins::First, r#"is shadowed by "q""#),
        (
            &[rule("l.1", "high"), rule("norm", "low")],
            Wins::First,
            r#""l.1" makes l.11.q (a tensor) high instead of low"#,
        ),
        (&[rule(r"^l\.1\.q$", "high")], Wins::First, "no pattern matches l.11.q (a tensor), which should be low"),
        (&[rule(r"^l\.1\.q$", "high"), rule("q|n", "low")], Wins::First, r#""q|n" also matches norm (a tensor)"#),
        (
            &[rule(r"^l\.1\.q$", "high"), rule(r"^l\.11\.q$", "low"), rule("k", "low")],
            Wins::First,
            r#""k" matches no tensor"#,
        ),
        (&[rule(r"^l\.1\.q$", "high"), rule("q", "low"), rule("11", "low")], Wins::First, r#""11" never counts"#),
    ];
    for (rules, wins, reason) in cases {
        match dry_run(rules, *wins, &subjects) {
            Ok(()) => assert_eq!(*reason, "", "{rules:?}"),
            Err(found) => assert!(!reason.is_empty() && found.contains(reason), "{rules:?}: {found}"),
        }
    }
}
