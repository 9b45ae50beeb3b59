use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use tomo_map::{Map, Normalisation, View};
use tomo_render::{Format, Options, Origin, Palette, Picture, Scene, Span, Style, Terminal, Writer};

use super::{Context, files};

/// How pictures look; the same words on every command that draws.
#[derive(clap::Args, Clone)]
pub(crate) struct Look {
    /// How scores are made comparable (see: list normalisations) [default: the one that suits the metric]
    #[arg(long, visible_alias = "normalize", value_name = "ID", value_parser = normalisation)]
    normalise: Option<&'static str>,

    /// Where layer 0 is
    #[arg(long, value_enum, default_value_t = Corner::Bottom)]
    origin: Corner,

    /// Colours: blue - white - orange, viridis, or whichever suits the metric
    #[arg(long, value_enum, default_value_t = Colours::Figure)]
    palette: Colours,

    /// Colour the full range, even where outliers leave little of it for the rest
    #[arg(long)]
    full_range: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Corner {
    Bottom,
    Top,
}

#[derive(Clone, Copy, ValueEnum)]
enum Colours {
    Figure,
    Uniform,
    Auto,
}

impl Default for Look {
    fn default() -> Self {
        Self { normalise: None, origin: Corner::Bottom, palette: Colours::Figure, full_range: false }
    }
}

fn normalisation(id: &str) -> Result<&'static str, String> {
    Normalisation::by_id(id).map(|n| n.id).ok_or_else(|| {
        let known: Vec<&str> = tomo_map::NORMALISATIONS.iter().map(|n| n.id).collect();
        format!("expected one of {}", known.join(" "))
    })
}

impl Look {
    fn options(&self, terminal: Terminal) -> Options {
        let origin = match self.origin {
            Corner::Bottom => Origin::Bottom,
            Corner::Top => Origin::Top,
        };
        let palette = match self.palette {
            Colours::Figure => Palette::Figure,
            Colours::Uniform => Palette::Uniform,
            Colours::Auto => Palette::Auto,
        };
        let span = if self.full_range { Span::Full } else { Span::Robust };
        Options { style: Style { origin, palette, span }, terminal }
    }

    /// Draws `map` in `format`: one metric where the format is a picture, everything where it is a document.
    pub(crate) fn draw(
        &self,
        map: &Map,
        metric: Option<&str>,
        format: &Format,
        terminal: Terminal,
    ) -> anyhow::Result<Vec<u8>> {
        let options = self.options(terminal);
        match format.writer {
            Writer::Document(write) => Ok(write(map, &options)?),
            Writer::Picture(write) => Ok(write(&Picture { map, view: &self.view(map, metric)? }, &options)?),
        }
    }

    /// What a picture of `metric` (the first where `None`) shows.
    fn view(&self, map: &Map, metric: Option<&str>) -> anyhow::Result<View> {
        let metric = metric.or_else(|| map.columns.first().map(|c| c.info.id.as_ref()));
        let metric = metric.ok_or_else(|| anyhow!("the map holds no metric"))?;
        Ok(match self.normalise.and_then(Normalisation::by_id) {
            Some(normalisation) => map.view(metric, normalisation)?,
            None => map.default_view(metric)?,
        })
    }

    /// A picture of `metric` with everything decided, for whoever draws it with other means.
    pub(crate) fn scene(&self, map: &Map, metric: Option<&str>) -> anyhow::Result<Scene> {
        let view = self.view(map, metric)?;
        Ok(Scene::from_picture(&Picture { map, view: &view }, self.options(Terminal::default()).style))
    }

    /// Prints the map of `metric` (the first where `None`) on the terminal.
    pub(crate) fn print(&self, map: &Map, metric: Option<&str>, context: &mut Context<'_>) -> anyhow::Result<()> {
        let drawn = self.draw(map, metric, Format::from_id("ansi")?, context.streams.terminal)?;
        Ok(context.streams.out.write_all(&drawn)?)
    }

    /// Writes what a scan leaves behind: the map (`stem.json`), its table, the report in words and to click, a picture per
    /// metric.
    pub(crate) fn write_all(&self, map: &Map, folder: &Path, stem: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, format) in [(stem, "json"), (stem, "csv"), ("report", "html"), ("report", "md")] {
            let content = self.draw(map, None, Format::from_id(format)?, Terminal::default())?;
            files::write_whole(&folder.join(format!("{name}.{format}")), &content)?;
        }
        let png = Format::from_id("png")?;
        for column in &map.columns {
            // A normalisation the user chose may not fit every metric of the map; those keep their own.
            let drawn = self.draw(map, Some(&column.info.id), png, Terminal::default()).or_else(|_| {
                Self { normalise: None, ..self.clone() }.draw(map, Some(&column.info.id), png, Terminal::default())
            })?;
            files::write_whole(&folder.join(picture_name(&column.info.id)), &drawn)?;
        }
        Ok(())
    }
}

/// The file of a metric's picture. A map may come from a stranger, and its ids must not lead out of the folder.
fn picture_name(id: &str) -> String {
    const LONGEST: usize = 100;
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_@.".contains(c) { c } else { '_' };
    let name: String = id.chars().take(LONGEST).map(safe).collect();
    format!("{}.png", name.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::picture_name;

    #[test]
    fn names_of_pictures_stay_in_their_folder() {
        for (id, name) in [
            ("rms@diff", "rms@diff.png"),
            ("err-int4@x", "err-int4@x.png"),
            ("../../evil", "_.._evil.png"),
            ("/etc/passwd", "_etc_passwd.png"),
            ("a\\b\u{0}c", "a_b_c.png"),
        ] {
            assert_eq!(picture_name(id), name, "{id:?}");
        }
        assert_eq!(picture_name(&"x".repeat(500)).len(), 104);
    }
}
