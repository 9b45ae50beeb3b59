use serde::{Deserialize, Serialize};

/// How a column was measured that took passes of a changed model for each cell.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Sequences of the text that each cell was measured on, parallel to the scores; 0 where there was none.
    pub sequences: Vec<u32>,
    /// Sequences of the text.
    pub of: u32,
    /// How far the map agrees with itself; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability: Option<SelfAgreement>,
}

/// Agreement of a map with itself: its sequences are halved at random, and the maps of the halves compared.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct SelfAgreement {
    /// Sequences that were halved: those that every cell was measured on.
    pub sequences: u32,
    /// Spearman's correlation between maps of two halves, mean over random halves.
    pub half: f64,
    /// What two maps of that many sequences each would agree to, after Spearman and Brown.
    pub whole: f64,
    /// The highest correlation with this map that anything could be expected to have: the root of `whole`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
}

/// Cells that were measured on some of the sequences and not on all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raced {
    /// How many.
    pub cells: usize,
    /// Cells of the column.
    pub of: usize,
    /// The fewest sequences that any of them got.
    pub fewest: u32,
    /// Sequences of the text.
    pub sequences: u32,
    /// Whether no cell got all of them: a race gives some cells everything, so that the scan was ended before.
    pub cut_short: bool,
}

impl Measurement {
    /// Cells that got some of the sequences only; `None` where every cell that was measured got all.
    pub fn raced(&self) -> Option<Raced> {
        let some = || self.sequences.iter().copied().filter(|n| (1..self.of).contains(n));
        let cut_short = !self.sequences.contains(&self.of);
        let fewest = some().min()?;
        Some(Raced { cells: some().count(), of: self.sequences.len(), fewest, sequences: self.of, cut_short })
    }

    /// What a reader has to know, sentences without the full stop.
    pub fn notes(&self) -> Vec<String> {
        let raced = self.raced().as_ref().map(Raced::sentence);
        raced.into_iter().chain(self.reliability.as_ref().map(SelfAgreement::sentence)).collect()
    }

    /// Whether it fits a column of so many scores; else what was expected and found.
    pub(crate) fn check(&self, cells: usize) -> Result<(), (String, String)> {
        if self.sequences.len() != cells {
            return Err((format!("{cells} numbers of sequences, one per cell"), self.sequences.len().to_string()));
        }
        if let Some(more) = self.sequences.iter().find(|n| **n > self.of) {
            return Err((format!("at most {} sequences", self.of), more.to_string()));
        }
        let is_wrong = |r: &f64| !(-1.0..=1.0).contains(r);
        let numbers = self.reliability.iter().flat_map(|a| [Some(a.half), Some(a.whole), a.ceiling]).flatten();
        match numbers.into_iter().find(is_wrong) {
            Some(wrong) => Err(("a correlation from -1 to 1".to_owned(), wrong.to_string())),
            None => Ok(()),
        }
    }
}

impl Raced {
    /// What it says, without the full stop.
    pub fn sentence(&self) -> String {
        let Self { cells, of, fewest, sequences, cut_short } = self;
        let why = match cut_short {
            true => "the scan was ended before",
            false => "measuring one stopped when it was settled whether it belongs to the highest tenth",
        };
        format!("{cells} of {of} cells got {fewest} or more of the {sequences} sequences and not all: {why}")
    }
}

impl SelfAgreement {
    /// What it says, without the full stop.
    pub fn sentence(&self) -> String {
        let ceiling = match self.ceiling {
            Some(ceiling) => format!("no other score can be expected to correlate higher than {ceiling:.3} with it"),
            None => "it is noise".to_owned(),
        };
        format!(
            "split-half reliability over {} sequences: rank correlation {:.3} between halves, {:.3} for the whole; {ceiling}",
            self.sequences, self.half, self.whole
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(sequences: &[u32]) -> Vec<String> {
        Measurement { sequences: sequences.to_vec(), of: 8, reliability: None }.notes()
    }

    #[test]
    fn a_race_and_a_scan_that_was_ended_are_told_apart() {
        assert_eq!(notes(&[8, 8, 8]), [""; 0]);
        let raced = &notes(&[8, 2, 4])[0];
        assert!(raced.starts_with("2 of 3 cells got 2 or more of the 8") && raced.contains("settled"), "{raced}");
        let ended = &notes(&[4, 4, 0])[0];
        assert!(
            ended.starts_with("2 of 3 cells got 4 or more") && ended.ends_with("the scan was ended before"),
            "{ended}"
        );
    }
}
