use colorgrad::{BlendMode, Gradient, GradientBuilder, LinearGradient, preset};

/// A colour as screens take it, sRGB with 8 bits per channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `#rrggbb`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Which colours a picture is drawn in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Palette {
    /// Blue - white - orange, the dress of the figure this project grew from. White is the score's natural middle if it
    /// has one, the median of the shown cells otherwise, and the picture names which. Each arm is even in OKLab.
    #[default]
    Figure,
    /// Viridis, perceptually uniform from low to high. For a score with no natural middle it makes no claim about one.
    Uniform,
    /// `Figure` for scores with a natural middle, `Uniform` for all others.
    Auto,
}

impl Palette {
    /// Every palette, in the order of help texts.
    pub const ALL: [Self; 3] = [Self::Figure, Self::Uniform, Self::Auto];

    /// The word on the command line.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Figure => "figure",
            Self::Uniform => "uniform",
            Self::Auto => "auto",
        }
    }

    /// The palette of that id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.id() == id)
    }
}

/// Steps of a colour table. Odd, so that a diverging one has its middle at a step.
pub const STEPS: usize = 255;

/// The two tables a picture's colours come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ramp {
    /// Blue - white - orange.
    Diverging,
    /// Viridis.
    Sequential,
}

impl Ramp {
    /// The table, from low to high; [`STEPS`] colours.
    pub fn table(self) -> Vec<Rgb> {
        let at = |i: usize| i as f32 / (STEPS - 1) as f32;
        match self {
            Self::Diverging => {
                let build = GradientBuilder::new()
                    .html_colors(&["#1f5fb0", "#f8f8f7", "#dd6a0c"])
                    .mode(BlendMode::Oklab)
                    .build::<LinearGradient>();
                // Three constant colours always make a gradient; the other arm exists because the library is general.
                build.map_or_else(|_| sequential(at), |g| (0..STEPS).map(|i| rgb(&g.at(at(i)))).collect())
            }
            Self::Sequential => sequential(at),
        }
    }
}

fn sequential(at: impl Fn(usize) -> f32) -> Vec<Rgb> {
    let gradient = preset::viridis();
    (0..STEPS).map(|i| rgb(&gradient.at(at(i)))).collect()
}

fn rgb(colour: &colorgrad::Color) -> Rgb {
    let [r, g, b, _] = colour.to_rgba8();
    Rgb(r, g, b)
}

/// Which part of the numbers the colours span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Span {
    /// 2nd to 98th percentile if outliers would otherwise take more than a third of the colours, all numbers if not.
    /// Whatever lies beyond is drawn in the end colours, and the picture counts it.
    #[default]
    Robust,
    /// Lowest to highest number.
    Full,
}

/// From numbers to steps of a colour table.
#[derive(Clone, PartialEq, Debug)]
pub struct Scale {
    /// The table.
    pub ramp: Ramp,
    /// Number at the low end of the bar.
    pub low: f64,
    /// Number at the high end of the bar.
    pub high: f64,
    /// Number drawn white, for a diverging table.
    pub middle: Option<f64>,
    /// Whether `middle` is the score's own: then equal distances from it are equally strong colours. A median means
    /// nothing in itself, so on either side of it the colours span what is there.
    pub natural: bool,
    /// Numbers below `low`.
    pub below: usize,
    /// Numbers above `high`.
    pub above: usize,
}

impl Scale {
    /// The scale for `values` (finite; any order) whose natural middle, if any, is `natural_middle`.
    /// `None` when there are no values.
    pub fn from_values(values: &[f64], natural_middle: Option<f64>, palette: Palette, span: Span) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&lowest, &highest) = (sorted.first()?, sorted.last()?);
        let (mut low, mut high) = (lowest, highest);
        if span == Span::Robust {
            let (inner_low, inner_high) = (quantile(&sorted, 0.02), quantile(&sorted, 0.98));
            if inner_high > inner_low && (highest - lowest) > 1.5 * (inner_high - inner_low) {
                (low, high) = (inner_low, inner_high);
            }
        }
        let middle = match palette {
            Palette::Uniform => None,
            Palette::Auto => natural_middle,
            Palette::Figure => Some(natural_middle.unwrap_or_else(|| quantile(&sorted, 0.5))),
        };
        if let Some(middle) = middle {
            (low, high) = (low.min(middle), high.max(middle));
        }
        Some(Self {
            ramp: if middle.is_some() { Ramp::Diverging } else { Ramp::Sequential },
            low,
            high,
            middle,
            natural: natural_middle.is_some(),
            below: sorted.iter().filter(|v| **v < low).count(),
            above: sorted.iter().filter(|v| **v > high).count(),
        })
    }

    /// Which step of the table `value` is drawn in, `0..STEPS`.
    pub fn step(&self, value: f64) -> usize {
        let value = value.clamp(self.low, self.high);
        let at = match self.middle {
            Some(middle) => {
                let (above, below) = (self.high - middle, middle - self.low);
                let side = if value < middle { below } else { above };
                let reach = if self.natural { above.max(below) } else { side };
                if reach > 0.0 { 0.5 + 0.5 * (value - middle) / reach } else { 0.5 }
            }
            None if self.high > self.low => (value - self.low) / (self.high - self.low),
            None => 0.5,
        };
        ((at * (STEPS - 1) as f64).round() as usize).min(STEPS - 1)
    }
}

/// Quantile with linear interpolation, as numpy's default; `sorted` is not empty.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_white_and_distances_are_even() {
        let s = Scale::from_values(&[-1.0, 0.0, 3.0], Some(0.0), Palette::Figure, Span::Full).unwrap();
        assert_eq!(s.step(0.0), 127);
        assert_eq!(s.step(3.0), 254);
        assert_eq!(127 - s.step(-1.0), s.step(1.0) - 127);
        let Rgb(r, g, b) = Ramp::Diverging.table()[127];
        assert!(r > 240 && g > 240 && b > 240);
    }

    #[test]
    fn both_sides_of_a_median_use_their_whole_arm() {
        let s = Scale::from_values(&[1.0, 2.0, 10.0], None, Palette::Figure, Span::Full).unwrap();
        assert_eq!([1.0, 2.0, 6.0, 10.0].map(|v| s.step(v)), [0, 127, 191, 254]);
    }

    #[test]
    fn a_score_without_middle_gets_the_median_or_none() {
        let v = [1.0, 2.0, 10.0];
        assert_eq!(Scale::from_values(&v, None, Palette::Figure, Span::Full).unwrap().middle, Some(2.0));
        assert_eq!(Scale::from_values(&v, None, Palette::Auto, Span::Full).unwrap().middle, None);
        assert_eq!(Scale::from_values(&v, Some(1.0), Palette::Auto, Span::Full).unwrap().middle, Some(1.0));
    }

    #[test]
    fn outliers_are_clipped_and_counted_only_when_they_would_flatten_the_rest() {
        let mut v: Vec<f64> = (0..200).map(f64::from).collect();
        let calm = Scale::from_values(&v, None, Palette::Uniform, Span::Robust).unwrap();
        assert_eq!((calm.low, calm.high, calm.above), (0.0, 199.0, 0));
        v[7] = 1e6;
        let wild = Scale::from_values(&v, None, Palette::Uniform, Span::Robust).unwrap();
        assert!(wild.high < 200.0 && wild.above >= 1, "{wild:?}");
        assert_eq!(wild.step(1e6), STEPS - 1);
    }

    #[test]
    fn one_value_or_none() {
        assert_eq!(Scale::from_values(&[], None, Palette::Figure, Span::Full), None);
        let one = Scale::from_values(&[4.0], None, Palette::Uniform, Span::Robust).unwrap();
        assert_eq!(one.step(4.0), 127);
    }

    /// Machado, Oliveira and Fernandes 2009, severity 1, applied to linear RGB.
    const DEUTERANOPIA: [[f64; 3]; 3] =
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]];
    const PROTANOPIA: [[f64; 3]; 3] =
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]];
    const NORMAL: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

    fn lab_as_seen(c: Rgb, eye: [[f64; 3]; 3]) -> [f64; 3] {
        let linear = [c.0, c.1, c.2].map(|v| {
            let v = f64::from(v) / 255.0;
            if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        });
        let seen = eye.map(|row| row.iter().zip(linear).map(|(m, v)| m * v).sum::<f64>().clamp(0.0, 1.0));
        let xyz = [
            (0.412_456 * seen[0] + 0.357_576 * seen[1] + 0.180_437 * seen[2]) / 0.950_47,
            0.212_673 * seen[0] + 0.715_152 * seen[1] + 0.072_175 * seen[2],
            (0.019_334 * seen[0] + 0.119_192 * seen[1] + 0.950_304 * seen[2]) / 1.088_83,
        ];
        let f = xyz.map(|t| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
        [116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])]
    }

    /// CIE76 difference; 2.3 is just noticeable.
    fn delta_e(a: Rgb, b: Rgb, eye: [[f64; 3]; 3]) -> f64 {
        let (a, b) = (lab_as_seen(a, eye), lab_as_seen(b, eye));
        a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn both_tables_can_be_read_by_colour_blind_eyes() {
        for ramp in [Ramp::Diverging, Ramp::Sequential] {
            let t = ramp.table();
            for (name, eye) in [("normal", NORMAL), ("deuteranopia", DEUTERANOPIA), ("protanopia", PROTANOPIA)] {
                assert!(delta_e(t[0], t[STEPS - 1], eye) > 60.0, "{ramp:?} ends, {name}");
                // Mirrored colours must not look alike: below and above the middle is the first thing a reader asks.
                let mirrored = delta_e(t[63], t[191], eye);
                assert!(mirrored > 25.0, "{ramp:?} half way on either side, {name}: {mirrored}");
                for i in (0..STEPS - 32).step_by(8) {
                    let d = delta_e(t[i], t[i + 32], eye);
                    assert!(d > 5.0, "{ramp:?} step {i} and {}, {name}: {d}", i + 32);
                }
            }
        }
    }

    #[test]
    fn each_arm_of_the_diverging_table_is_even() {
        let t = Ramp::Diverging.table();
        for arm in [&t[..=127], &t[127..]] {
            let d: Vec<f64> = arm.windows(17).step_by(16).map(|w| delta_e(w[0], w[16], NORMAL)).collect();
            let (min, max) = d.iter().fold((f64::MAX, 0f64), |(l, h), v| (l.min(*v), h.max(*v)));
            assert!(max < 2.5 * min, "{d:?}");
        }
    }
}
