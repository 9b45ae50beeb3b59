//! What a tensor of an adapter is, by the name that peft gave it.
//!
//! `base_model.model.<module>.lora_A.weight`, in state dicts that were saved by hand with the adapter's name inside:
//! `….lora_A.default.weight`. Modules that are saved whole have the base's own names below the same prefix.

/// Stands before the name of every module; trainers that save by hand sometimes leave it out.
const PREFIX: &str = "base_model.model.";
/// The module that peft wraps: what is behind it belongs to the base.
const WRAPPED: &str = "base_layer";

/// A tensor's part in a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// A, `[r, in]`.
    A,
    /// B, `[out, r]`.
    B,
    /// Bias of B, `[out]`.
    BiasOfB,
    /// DoRA's lengths of rows, `[out]`.
    Magnitude,
    /// A or B of an embedding, stored turned.
    OfEmbedding,
    /// New values for single rows of an embedding.
    OfTokens,
    /// A parameter of the base, saved whole.
    Whole,
}

/// What a name says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    /// The module in the base; for [`Role::Whole`] the tensor.
    pub(crate) module: String,
    /// How often peft wrapped it: wrappers of several parameters of one module stand in each other.
    pub(crate) depth: usize,
    pub(crate) role: Role,
    /// The adapter's own name, where the tensor's holds it.
    pub(crate) adapter: Option<String>,
}

/// Takes a tensor's name apart; `None` for one that no LoRA adapter has.
pub(crate) fn read(name: &str) -> Option<Named> {
    let parts: Vec<&str> = name.strip_prefix(PREFIX).unwrap_or(name).split('.').collect();
    let named = |module: &[&str], role, adapter: Option<&str>| {
        let depth = module.iter().filter(|p| **p == WRAPPED).count();
        let module: Vec<&str> = module.iter().copied().filter(|p| *p != WRAPPED).collect();
        (!module.is_empty()).then(|| Named {
            module: module.join("."),
            depth,
            role,
            adapter: adapter.map(str::to_owned),
        })
    };
    if let Some(at) = parts.iter().rposition(|p| p.starts_with("lora_")) {
        let (module, tail) = (&parts[..at], &parts[at + 1..]);
        let (role, adapter) = match (parts[at], tail) {
            ("lora_A", ["weight"]) => (Role::A, None),
            ("lora_A", [adapter, "weight"]) => (Role::A, Some(*adapter)),
            ("lora_B", ["weight"]) => (Role::B, None),
            ("lora_B", [adapter, "weight"]) => (Role::B, Some(*adapter)),
            ("lora_B", ["bias"]) => (Role::BiasOfB, None),
            ("lora_B", [adapter, "bias"]) => (Role::BiasOfB, Some(*adapter)),
            ("lora_magnitude_vector", [] | ["weight"]) => (Role::Magnitude, None),
            ("lora_magnitude_vector", [adapter] | [adapter, "weight"]) => (Role::Magnitude, Some(*adapter)),
            ("lora_embedding_A" | "lora_embedding_B", []) => (Role::OfEmbedding, None),
            ("lora_embedding_A" | "lora_embedding_B", [adapter]) => (Role::OfEmbedding, Some(*adapter)),
            _ => return None,
        };
        return named(module, role, adapter);
    }
    if let [module @ .., "token_adapter", "trainable_tokens_delta" | "trainable_tokens_original"] = parts.as_slice() {
        return named(module, Role::OfTokens, None);
    }
    if let Some(at) = parts.iter().position(|p| *p == "modules_to_save") {
        let (module, tail) = (&parts[..at], parts.get(at + 2..)?);
        return named(&[module, tail].concat(), Role::Whole, Some(parts[at + 1]));
    }
    named(&parts, Role::Whole, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_peft_writes() {
        const Q: &str = "model.layers.0.self_attn.q_proj";
        for (tail, role, adapter) in [
            ("lora_A.weight", Role::A, None),
            ("lora_B.weight", Role::B, None),
            ("lora_A.default.weight", Role::A, Some("default")),
            ("lora_B.bias", Role::BiasOfB, None),
            ("lora_magnitude_vector", Role::Magnitude, None),
            ("lora_magnitude_vector.default.weight", Role::Magnitude, Some("default")),
        ] {
            for prefix in ["base_model.model.", ""] {
                let found = read(&format!("{prefix}{Q}.{tail}")).unwrap();
                let expected = Named { module: Q.to_owned(), depth: 0, role, adapter: adapter.map(str::to_owned) };
                assert_eq!(found, expected, "{prefix}{Q}.{tail}");
            }
        }
    }

    #[test]
    fn wrapped_and_whole_modules() {
        let inner = read("base_model.model.a.mlp.experts.base_layer.lora_A.weight").unwrap();
        assert_eq!((inner.module.as_str(), inner.depth), ("a.mlp.experts", 1));
        let bias = read("base_model.model.a.q_proj.base_layer.bias").unwrap();
        assert_eq!((bias.module.as_str(), bias.role), ("a.q_proj.bias", Role::Whole));
        let old = read("base_model.model.lm_head.modules_to_save.default.weight").unwrap();
        assert_eq!((old.module.as_str(), old.role), ("lm_head.weight", Role::Whole));
        let tokens = read("base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta").unwrap();
        assert_eq!((tokens.module.as_str(), tokens.role), ("model.embed_tokens", Role::OfTokens));
    }

    #[test]
    fn names_of_other_methods() {
        for name in ["a.q_proj.lora_E", "a.q_proj.lora_A.x.y.weight", "a.q_proj.lora_diag.weight", "lora_A.weight"] {
            assert_eq!(read(name), None, "{name}");
        }
    }
}
