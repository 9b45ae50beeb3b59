//! Shards: safetensors files with an index (`weight_map`) that says which tensor is in which.

// A silent wrap of a number from a stranger's file is how parsers get exploited.
#![deny(clippy::as_conversions)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::folder;
use super::safetensors;
use crate::checkpoint::{Checkpoint, Part};
use crate::files::Files;
use crate::layout::{MAX_HEADER_BYTES, MAX_TENSORS};
use crate::{Error, ErrorKind, Format, refuse};

/// How index files end.
pub(crate) const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// Files a checkpoint may be cut into.
const MAX_SHARDS: usize = 4096;

/// Opens the shards that `index` names; `shown` is what the user named.
pub(crate) fn open(place: &dyn Files, shown: &Path, index: &Path) -> Result<Checkpoint, Error> {
    let wanted = read_index(place, index)?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let path = |shard: &String| inside_folder(shard).map(|name| folder.join(name)).map_err(|e| e.in_file(index));
    let paths = wanted.keys().map(path).collect::<Result<Vec<_>, _>>()?;
    place.expect(&paths);
    let mut parts = Vec::with_capacity(wanted.len());
    for (path, names) in paths.into_iter().zip(wanted.values()) {
        parts.push(open_shard(place, index, path, names)?);
    }
    Checkpoint::new(shown, Format::ShardedSafetensors, folder::config_beside(place, index)?, parts)
}

fn open_shard(place: &dyn Files, index: &Path, path: PathBuf, names: &[String]) -> Result<Part, Error> {
    let backing = place.open(&path).map_err(|e| {
        e.hint("the index names this shard; the download is probably incomplete, fetch the folder again")
    })?;
    let tensors = backing.parse(safetensors::parse).map_err(|e| e.in_file(&path))?;
    // Tensors are sorted by name. One that the shard has and the index lacks is kept: a second shard with it is an error.
    let absent = names.iter().find(|&n| tensors.binary_search_by(|t| t.info.name.cmp(n)).is_err());
    match absent {
        None => Ok(Part { path, backing, tensors }),
        Some(name) => Err(Error::new(ErrorKind::Malformed, "the index names a tensor that its shard does not have")
            .in_file(&path)
            .in_tensor(name)
            .expected(format!("the tensor, as {} says", index.display()))
            .found(format!("{} other tensors", tensors.len()))
            .hint("index and shards are of different versions; fetch the folder again")),
    }
}

/// A shard is named by a plain relative path. Whether a file of that name is a link is the folder's owner's affair: the hub's
/// cache keeps every file that way.
fn inside_folder(shard: &str) -> Result<PathBuf, Error> {
    let path = Path::new(shard);
    let is_plain = !shard.is_empty()
        && path.components().all(|c| matches!(c, Component::Normal(_)))
        && !shard.contains(['\\', ':'])
        && !shard.contains(char::is_control);
    if refuse::is_pickle_name(path) && is_plain {
        return Err(refuse::pickle(path));
    }
    if is_plain && folder::has_suffix(path, ".safetensors") {
        return Ok(path.to_owned());
    }
    Err(Error::new(ErrorKind::Malformed, "the index names a file that cannot be a shard")
        .expected("the name of a .safetensors file in the same folder")
        .found(format!("{shard:?}"))
        .hint("the index is damaged or was made to mislead; do not trust it"))
}

/// Shard names, each with the tensors that the index expects in it.
fn read_index(place: &dyn Files, index: &Path) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let text = folder::read_text(place, index, MAX_HEADER_BYTES)?;
    let wrong = |found: String| {
        Error::new(ErrorKind::Malformed, "the shard index is not as it should be")
            .in_file(index)
            .expected("JSON: {\"weight_map\": {tensor: file, ...}}")
            .found(found)
            .hint("fetch the file again")
    };
    let Index { weight_map: WeightMap(map) } = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if map.is_empty() {
        return Err(wrong("no tensors".into()));
    }
    let mut all: Vec<&String> = map.values().flatten().collect();
    all.sort_unstable();
    if let Some((name, _)) = all.iter().zip(all.iter().skip(1)).find(|(a, b)| a == b) {
        return Err(wrong("a tensor twice".into()).in_tensor(name));
    }
    Ok(map)
}

#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

struct WeightMap(BTreeMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WeightMapVisitor)
    }
}

struct WeightMapVisitor;

impl<'de> Visitor<'de> for WeightMapVisitor {
    type Value = WeightMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from tensor names to file names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
        let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut count = 0;
        while let Some((tensor, shard)) = map.next_entry::<String, String>()? {
            count += 1;
            if count > MAX_TENSORS {
                return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            }
            shards.entry(shard).or_default().push(tensor);
            if shards.len() > MAX_SHARDS {
                return Err(A::Error::custom(format_args!("more than {MAX_SHARDS} files")));
            }
        }
        Ok(WeightMap(shards))
    }
}
