//! What is left of cells as bytes, so that a pass can be resumed to the same bits.

use super::cell::Done;
use super::output_error::FormatSums;
use super::sample::LeftOut;
use super::sums::GradientSums;

const MAGIC: &[u8; 8] = b"tomograd";

/// Cells that are done and layers that are, little-endian. `about` is what makes two passes alike.
pub(crate) fn save(about: &str, done: &[Option<Done>], layers: &[bool]) -> Vec<u8> {
    let mut out = Writer(MAGIC.to_vec());
    out.text(about);
    out.count(layers.len());
    layers.iter().for_each(|layer| out.0.push(u8::from(*layer)));
    out.count(done.len());
    for done in done {
        out.0.push(u8::from(done.is_some()));
        if let Some(done) = done {
            out.cell(done);
        }
    }
    out.0
}

/// What [`save`] wrote of a pass like this one.
pub(crate) fn restore(
    saved: &[u8],
    about: &str,
    cells: usize,
    layers: usize,
) -> Result<(Vec<Option<Done>>, Vec<bool>), String> {
    let mut bytes = Reader(saved);
    if bytes.take(MAGIC.len())? != MAGIC {
        return Err("it does not begin as gradients do".into());
    }
    if bytes.text()? != about {
        return Err("it is of other metrics, sequences or options".into());
    }
    if bytes.count()? != layers {
        return Err("it is of another model".into());
    }
    let layers = bytes.take(layers)?.iter().map(|layer| *layer != 0).collect();
    if bytes.count()? != cells {
        return Err("it is of another model".into());
    }
    let mut done = Vec::with_capacity(cells);
    for _ in 0..cells {
        done.push(if bytes.take(1)? == [0] { None } else { Some(bytes.cell()?) });
    }
    if bytes.0.is_empty() { Ok((done, layers)) } else { Err("it is too long".into()) }
}

struct Writer(Vec<u8>);

impl Writer {
    fn count(&mut self, count: usize) {
        self.0.extend((count as u64).to_le_bytes());
    }

    fn number(&mut self, number: f64) {
        self.0.extend(number.to_bits().to_le_bytes());
    }

    fn numbers(&mut self, numbers: &[f64]) {
        self.count(numbers.len());
        numbers.iter().for_each(|number| self.number(*number));
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend(text.as_bytes());
    }

    fn cell(&mut self, done: &Done) {
        let Done { sums, taylor, norm, weight_norm, left_out, formats } = done;
        self.count(sums.len());
        for sums in sums {
            let GradientSums { tokens, sequences, product, zero, squares, mean, resample } = *sums;
            for number in [tokens, sequences, product, zero, squares, mean, resample] {
                self.number(number);
            }
        }
        for number in [*taylor, *norm, *weight_norm] {
            self.number(number);
        }
        self.count(left_out.len());
        left_out.iter().for_each(|left| self.numbers(&[left.taylor, left.norm]));
        self.count(formats.len());
        for format in formats {
            match format {
                Ok(FormatSums { squares, u, v }) => {
                    self.0.push(1);
                    for numbers in [squares, u, v] {
                        self.numbers(numbers);
                    }
                }
                Err(reason) => {
                    self.0.push(0);
                    self.text(reason);
                }
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// Of what takes a byte each at least, so that no count is beyond what is there.
    fn count(&mut self) -> Result<usize, String> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or("it ends early")?;
        self.0 = rest;
        let count = usize::try_from(u64::from_le_bytes(*bytes)).unwrap_or(usize::MAX);
        if count <= self.0.len() { Ok(count) } else { Err("a count is beyond its end".into()) }
    }

    fn number(&mut self) -> Result<f64, String> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or("it ends early")?;
        self.0 = rest;
        Ok(f64::from_bits(u64::from_le_bytes(*bytes)))
    }

    fn numbers(&mut self) -> Result<Vec<f64>, String> {
        (0..self.count()?).map(|_| self.number()).collect()
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let count = self.count()?;
        std::str::from_utf8(self.take(count)?).map_err(|e| e.to_string())
    }

    fn cell(&mut self) -> Result<Done, String> {
        let mut done = Done::default();
        for _ in 0..self.count()? {
            done.sums.push(GradientSums {
                tokens: self.number()?,
                sequences: self.number()?,
                product: self.number()?,
                zero: self.number()?,
                squares: self.number()?,
                mean: self.number()?,
                resample: self.number()?,
            });
        }
        (done.taylor, done.norm, done.weight_norm) = (self.number()?, self.number()?, self.number()?);
        for _ in 0..self.count()? {
            let [taylor, norm] = self.numbers()?[..] else { return Err("a pair is none".into()) };
            done.left_out.push(LeftOut { taylor, norm });
        }
        for _ in 0..self.count()? {
            done.formats.push(if self.take(1)? == [1] {
                Ok(FormatSums { squares: self.numbers()?, u: self.numbers()?, v: self.numbers()? })
            } else {
                Err(self.text()?.to_owned())
            });
        }
        Ok(done)
    }
}
