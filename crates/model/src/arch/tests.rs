//! What holds for every entry of the registry.

use std::collections::BTreeSet;

use tomo_map::Component;

use super::*;
use crate::family::Dialect;

#[test]
fn ids_are_unique_and_name_their_file() {
    for (family, module) in FAMILIES.iter().zip(MODULES) {
        assert_eq!(family.id, *module);
        assert!(family.source.contains(&format!("id: \"{module}\"")), "{module} includes another file's source");
    }
    assert_eq!(FAMILIES.iter().map(|f| f.id).collect::<BTreeSet<_>>().len(), FAMILIES.len());
}

#[test]
fn no_two_families_answer_to_one_name() {
    let mut seen = BTreeSet::new();
    for family in FAMILIES {
        for name in family.model_types {
            assert!(seen.insert(format!("type {name}")), "{name}");
        }
        for name in family.classes {
            assert!(seen.insert(format!("class {name}")), "{name}");
        }
        for name in family.gguf_architectures {
            assert!(seen.insert(format!("gguf {name} {}", family.experts)), "{name}");
        }
    }
}

#[test]
fn the_header_is_a_manual() {
    for family in FAMILIES {
        let manual = tomo_map::manual(family.source);
        for heading in ["## Switches", "## Hugging Face names", "## GGUF names", "## Source"] {
            let at = manual.find(heading).unwrap_or_else(|| panic!("{} lacks {heading}", family.id));
            let body = manual[at + heading.len()..].trim_start();
            assert!(!body.is_empty() && !body.starts_with("##"), "{}: nothing under {heading}", family.id);
        }
        assert!(!manual.starts_with("##") && !manual.starts_with('\n'), "{} has no opening line", family.id);
        assert!(family.source.len() < 6000, "{} is data, keep it short", family.id);
    }
}

#[test]
fn every_component_is_placed_or_missing_with_a_reason() {
    for family in FAMILIES {
        for dialect in [&family.hugging_face, &family.gguf] {
            for component in Component::ALL {
                let rules = dialect.cells.iter().filter(|rule| rule.component == component).count();
                let missing = family.missing_reason(component);
                assert_eq!(rules == 0, missing.is_some(), "{} {component}", family.id);
                assert!(missing.is_none_or(|reason| reason.len() > 10), "{} {component}", family.id);
            }
        }
    }
}

#[test]
fn patterns_have_the_placeholders_they_need() {
    let layers = |pattern: &str| pattern.matches("{}").count();
    for family in FAMILIES {
        for Dialect { cells, others, root, prefixes, dims, .. } in [&family.hugging_face, &family.gguf] {
            assert!(!prefixes.is_empty(), "{}", family.id);
            for rule in *cells {
                assert_eq!(layers(rule.tensor), 1, "{} {}", family.id, rule.tensor);
                assert!(!(rule.stacked && rule.tensor.contains("{e}")), "{} {}", family.id, rule.tensor);
                assert!(!(rule.stacked && rule.transposed), "{} {}", family.id, rule.tensor);
            }
            let mut seen = BTreeSet::new();
            for rule in others.iter().copied().flatten().chain(*root) {
                assert!(layers(rule.tensor) <= 1 && !rule.tensor.contains("{e}"), "{} {}", family.id, rule.tensor);
                seen.insert(rule.tensor);
            }
            let cells_are_others = cells.iter().any(|rule| seen.contains(rule.tensor));
            assert!(!cells_are_others, "{}", family.id);
            assert_eq!(dims.experts.is_empty(), !family.experts, "{}", family.id);
            assert_eq!(cells.iter().any(|rule| rule.per_expert()), family.experts, "{}", family.id);
        }
    }
}
