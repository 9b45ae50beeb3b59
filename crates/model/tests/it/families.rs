//! Every family against what transformers says about its own tiny checkpoint.

use tomo_model::{Dims, FAMILIES, Role};

use crate::source::{Fixture, assert_same_cells, loaded};

fn dims_of(fixture: &Fixture) -> Dims {
    let narrow = |name: &str| fixture.dim(name).map(|n| u32::try_from(n).unwrap());
    Dims {
        layers: narrow("layers").unwrap(),
        hidden: fixture.dim("hidden"),
        heads: fixture.dim("heads"),
        kv_heads: fixture.dim("kv_heads"),
        head_dim: fixture.dim("head_dim"),
        ffn: fixture.dim("ffn"),
        vocab: fixture.dim("vocab"),
        experts: narrow("experts"),
        expert_ffn: fixture.dim("expert_ffn"),
    }
}

#[test]
fn every_fixture_is_understood_whole() {
    for fixture in Fixture::all() {
        let case = &fixture.case;
        let model = fixture.source().open().unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(model.family(), fixture.family(), "{case}");
        assert_eq!(model.dims(), &dims_of(&fixture), "{case}");
        let unknown: Vec<_> = model.unknown().iter().map(|t| &t.name).collect();
        assert!(unknown.is_empty(), "{case}: {unknown:?}");
        let missing: Vec<_> = model.grid().missing.iter().map(|m| m.component.id()).collect();
        let expected: Vec<_> =
            fixture.record["missing"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        assert_eq!(missing, expected, "{case}");
        assert_same_cells(case, &loaded(&model), &fixture.expected());
    }
}

#[test]
fn every_tensor_is_a_cell_or_has_a_role() {
    for fixture in Fixture::all() {
        let model = fixture.source().open().unwrap();
        let mut names: Vec<_> = model.cells().iter().map(|c| c.tensor.clone()).collect();
        names.extend(model.others().iter().map(|o| o.tensor.name.clone()));
        names.sort();
        names.dedup();
        let all: Vec<_> = fixture.tensors.keys().cloned().collect();
        assert_eq!(names, all, "{}", fixture.case);
        let has = |role| model.others().iter().any(|o| o.role == role);
        assert!(has(Role::Embedding) && has(Role::Norm), "{}", fixture.case);
        assert_eq!(has(Role::Router), model.dims().experts.is_some(), "{}", fixture.case);
        assert_eq!(has(Role::Tower), fixture.case.contains("multimodal"), "{}", fixture.case);
    }
}

#[test]
fn every_family_has_a_fixture() {
    let fixtures = Fixture::all();
    for family in FAMILIES {
        assert!(fixtures.iter().any(|f| f.case == family.id && f.family() == family.id), "{}", family.id);
    }
}

/// Without a config the dims come from shapes, and families whose names are the same are not told apart.
#[test]
fn names_alone_are_enough_where_they_differ() {
    let expected = [
        ("gemma", "llama-like"),
        ("gemma2", "gemma2"),
        ("gemma3", "gemma3"),
        ("gemma3_multimodal", "gemma3"),
        ("gpt2", "gpt2"),
        ("gpt2_base", "gpt2"),
        ("granite", "llama-like"),
        ("llama", "llama-like"),
        ("llama_base", "llama-like"),
        ("mistral", "llama-like"),
        ("mixtral", "mixtral"),
        ("olmo2", "olmo2"),
        ("olmoe", "qwen3_moe-like"),
        ("phi3", "phi3"),
        ("qwen2", "llama-like"),
        ("qwen3", "qwen3"),
        ("qwen3_moe", "qwen3_moe"),
        ("smollm3", "llama-like"),
        ("stablelm", "stablelm"),
        ("stablelm_parallel", "stablelm"),
        ("starcoder2", "starcoder2"),
    ];
    for (case, family) in expected {
        let fixture = Fixture::read(case);
        let model = fixture.bare_source().open().unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(model.family(), family, "{case}");
        assert_same_cells(case, &loaded(&model), &fixture.expected());
        let dims = model.dims();
        assert_eq!((dims.hidden, dims.ffn, dims.heads), (fixture.dim("hidden"), fixture.dim("ffn"), None), "{case}");
        assert_eq!((dims.expert_ffn, dims.vocab), (fixture.dim("expert_ffn"), fixture.dim("vocab")), "{case}");
    }
}

#[test]
fn interleaved_heads_need_a_config() {
    let error = Fixture::read("gpt_neox").bare_source().open().unwrap_err().to_string();
    assert!(error.contains("without a config the number of heads is not known"), "{error}");
    assert!(error.contains("query_key_value"), "{error}");
}

#[test]
fn a_class_name_stands_in_for_a_missing_model_type() {
    let mut fixture = Fixture::read("gpt2");
    fixture.config.as_object_mut().unwrap().remove("model_type").unwrap();
    assert_eq!(fixture.source().open().unwrap().family(), "gpt2");
    fixture.config["model_type"] = "gpt9".into();
    let error = fixture.source().open().unwrap_err().to_string();
    assert!(error.contains("gpt9") && error.contains("h.{}.attn.c_attn.weight"), "{error}");
}
