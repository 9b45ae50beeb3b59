//! One file per container format. Each turns bytes from strangers into a checked list of tensors.

pub(crate) mod folder;
pub(crate) mod gguf;
pub(crate) mod safetensors;
pub(crate) mod sharded;
