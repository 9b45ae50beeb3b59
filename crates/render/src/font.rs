use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb;
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, GlyphId, MetadataProvider};

/// The family that is embedded, as font files call it.
pub(crate) const FAMILY: &str = "DejaVu Sans";

/// The same face first, then faces of about its width, for viewers that have none of ours.
pub(crate) const STACK: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

/// Regular or bold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// 400.
    Regular,
    /// 700.
    Bold,
}

impl Weight {
    pub(crate) fn data(self) -> &'static [u8] {
        match self {
            Self::Regular => dejavu::sans::regular(),
            Self::Bold => dejavu::sans::bold(),
        }
    }
}

/// Both faces, and no others: a picture must not depend on the fonts of the machine it is made on.
pub(crate) static DATABASE: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut db = fontdb::Database::new();
    for weight in [Weight::Regular, Weight::Bold] {
        db.load_font_source(fontdb::Source::Binary(Arc::new(weight.data())));
    }
    db.set_sans_serif_family(FAMILY);
    Arc::new(db)
});

/// Width of `text` set in `size` pixels, in pixels; characters without a glyph count as the missing-glyph box.
pub(crate) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    static FACES: LazyLock<[Option<FontRef<'static>>; 2]> =
        LazyLock::new(|| [Weight::Regular, Weight::Bold].map(|w| FontRef::new(w.data()).ok()));
    let Some(font) = &FACES[usize::from(weight == Weight::Bold)] else {
        return size * 0.6 * text.chars().count() as f64;
    };
    let metrics = font.glyph_metrics(Size::new(size as f32), LocationRef::default());
    let glyphs = font.charmap();
    let advance = |c: char| metrics.advance_width(glyphs.map(c).unwrap_or(GlyphId::NOTDEF)).unwrap_or(0.0);
    text.chars().map(|c| f64::from(advance(c))).sum()
}

/// `text` in lines no wider than `limit` pixels, broken at spaces, and inside a word that is itself too wide.
pub(crate) fn wrap(text: &str, size: f64, weight: Weight, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&longer, size, weight) <= limit {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            line.push(c);
            if width(&line, size, weight) > limit {
                line.pop();
                lines.push(std::mem::take(&mut line));
                line.push(c);
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // Advance widths of DejaVu Sans as fontTools reads them: m 1995, i 569, of 2048 units per em.
        assert!((width("mi", 2048.0, Weight::Regular) - (1995.0 + 569.0)).abs() < 0.5);
        assert!(width("mi", 10.0, Weight::Bold) > width("mi", 10.0, Weight::Regular));
    }

    #[test]
    fn wrapped_lines_fit_and_lose_nothing() {
        let text = "a sentence of several words and one-unreasonably-long-word-that-does-not-fit";
        let lines = wrap(text, 10.0, Weight::Regular, 90.0);
        assert!(lines.iter().all(|l| width(l, 10.0, Weight::Regular) <= 90.0), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    }
}
