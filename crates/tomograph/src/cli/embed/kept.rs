use std::path::Path;

use anyhow::Context as _;
use tomo_map::Map;
use tomo_render::{Format, Terminal, Writer};

use crate::cli::files::{read_map, write_whole};
use crate::cli::output::Look;
use crate::parts::PART_FILE;
use crate::scan::Scanned;

/// A map, with the files that a scan keeps beside it: what was drawn, what every change did to every sequence; of a part of a
/// scan, the part.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The map.
    pub map: Map,
    /// Names and contents of the files.
    pub beside: Vec<(&'static str, Vec<u8>)>,
    /// Whether the scan was cancelled before it was done.
    pub ended_early: bool,
}

impl Kept {
    /// Files that may lie beside a map and belong to it.
    pub const BESIDE: [&str; 5] = [Self::DRAWS_JSON, "draws.csv", Self::MEASURED_JSON, "measured.csv", PART_FILE];
    /// What every draw said of every cell.
    pub(crate) const DRAWS_JSON: &'static str = "draws.json";
    /// What every sequence said of every cell.
    pub(crate) const MEASURED_JSON: &'static str = "measured.json";

    /// What a scan leaves.
    pub(crate) fn of(scanned: Scanned) -> anyhow::Result<Self> {
        let mut beside = crate::cli::commands::kept_files(&scanned)?;
        if let Some(part) = &scanned.part {
            beside.push((PART_FILE, part.to_bytes()?));
        }
        let ended_early = scanned.ended_early || crate::scan::is_partial(&scanned.map.columns);
        Ok(Self { map: scanned.map, beside, ended_early })
    }

    /// Reads a map from its file, or from the folder that `map` or `diff` wrote, with what belongs to it there.
    ///
    /// # Errors
    /// A file that cannot be read, or is no map.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let map = read_map(path)?;
        let mut beside = Vec::new();
        for name in Self::BESIDE.iter().filter(|_| path.is_dir()) {
            let file = path.join(name);
            if file.exists() {
                beside.push((*name, std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?));
            }
        }
        Ok(Self { map, beside, ended_early: false })
    }

    fn stem(&self) -> &'static str {
        if self.map.sides.is_some() { "diff" } else { "map" }
    }

    /// Writes what other commands read to a folder: the map itself, and what belongs to it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save_numbers(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut json = Vec::new();
        tomo_map::write_json(&self.map, &mut json)?;
        write_whole(&folder.join(format!("{}.json", self.stem())), &json)?;
        self.beside.iter().try_for_each(|(name, content)| write_whole(&folder.join(name), content))
    }

    /// Writes everything that `map` (of a difference: `diff`) writes to a folder; or to a file what its ending says: `.json`, `.csv`, `.md`,
    /// `.html`, or the picture of the first metric.
    ///
    /// # Errors
    /// A file that cannot be written, an ending of no format.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let look = Look::default();
        if path.extension().is_some() && !path.is_dir() {
            let format = Format::from_path(path)?;
            let metric = self.map.columns.first().map(|c| c.info.id.as_ref());
            let metric = metric.filter(|_| matches!(format.writer, Writer::Picture(_)));
            return write_whole(path, &look.draw(&self.map, metric, format, Terminal::default())?);
        }
        look.write_all(&self.map, path, self.stem())?;
        self.beside.iter().try_for_each(|(name, content)| write_whole(&path.join(name), content))
    }
}
