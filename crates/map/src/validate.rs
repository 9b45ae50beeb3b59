//! What every map must satisfy, whether it comes from a scan or from a stranger's file.

use crate::error::quoted;
use crate::{
    Beside, CellId, Column, DIFFERENCE, Grid, Inventory, Map, MapError, MapErrorKind as Kind, Provenance, Score, Sides,
    Status,
};

/// Most layers a map may have; the deepest known models have a few hundred. A view allocates 7 places for each.
const MAX_LAYERS: u32 = 10_000;
/// Most cells a map may have: 10 times the largest known mixture (61 layers x 3 x 384 experts).
const MAX_CELLS: usize = 1_000_000;

impl Map {
    /// Checks that the parts fit together: layers and cells within bounds, cells sorted and unique, sizes that
    /// multiply without overflow, missing columns that are missing, metric ids unique, one score per cell, every number
    /// finite.
    ///
    /// # Errors
    /// The first violation, with its place.
    pub fn validate(&self) -> Result<(), MapError> {
        self.provenance.validate("provenance")?;
        self.grid.validate()?;
        for (at, column) in self.columns.iter().enumerate() {
            let place = format!("metrics[{at}]");
            if self.columns[..at].iter().any(|c| c.info.id == column.info.id) {
                let found = format!("{} again", quoted(&column.info.id));
                return Err(MapError::new(Kind::Order, place, "metric ids that occur once", found));
            }
            column.validate(&place, self.grid.cells.len())?;
        }
        for (at, beside) in self.beside.iter().enumerate() {
            beside.validate(&format!("beside[{at}]"))?;
        }
        self.inventory.as_deref().map_or(Ok(()), |inventory| inventory.validate(&self.grid))?;
        self.sides.as_deref().map_or(Ok(()), |sides| sides.validate(self))
    }
}

impl Inventory {
    /// Names for every cell, shapes that multiply without overflow, an alignment that is one.
    fn validate(&self, grid: &Grid) -> Result<(), MapError> {
        if self.cells.len() != grid.cells.len() {
            let (expected, found) = (format!("names of {} cells", grid.cells.len()), self.cells.len().to_string());
            return Err(MapError::new(Kind::Length, "inventory.cells", expected, found));
        }
        if self.others.len() > MAX_CELLS {
            let expected = format!("at most {MAX_CELLS} tensors");
            return Err(MapError::new(Kind::Size, "inventory.others", expected, self.others.len().to_string()));
        }
        for (at, other) in self.others.iter().enumerate() {
            if other.shape.iter().try_fold(1_u64, |n, dim| n.checked_mul(*dim)).is_none() {
                let place = format!("inventory.others[{at}].shape");
                return Err(MapError::new(
                    Kind::Size,
                    place,
                    "a tensor that memory could hold",
                    format!("{:?}", other.shape),
                ));
            }
        }
        match self.gguf {
            Some(header) if !header.alignment.is_power_of_two() => {
                let found = header.alignment.to_string();
                Err(MapError::new(Kind::Number, "inventory.gguf.alignment", "a power of two", found))
            }
            _ => Ok(()),
        }
    }
}

impl Provenance {
    fn validate(&self, place: &str) -> Result<(), MapError> {
        if self.seconds.is_finite() && self.seconds >= 0.0 {
            return Ok(());
        }
        let found = self.seconds.to_string();
        Err(MapError::new(Kind::Number, format!("{place}.seconds"), "a number of seconds", found))
    }
}

impl Sides {
    /// Both sides have the columns of the difference, in its order.
    fn validate(&self, map: &Map) -> Result<(), MapError> {
        for (side, place) in [(&self.first, "sides.first"), (&self.second, "sides.second")] {
            side.provenance.validate(&format!("{place}.provenance"))?;
            if side.columns.len() != map.columns.len() {
                let (expected, found) = (format!("{} metrics", map.columns.len()), side.columns.len().to_string());
                return Err(MapError::new(Kind::Length, format!("{place}.metrics"), expected, found));
            }
            for (at, (column, difference)) in side.columns.iter().zip(&map.columns).enumerate() {
                let place = format!("{place}.metrics[{at}]");
                column.validate(&place, map.grid.cells.len())?;
                if difference.info.id.strip_suffix(DIFFERENCE) != Some(&*column.info.id) {
                    let expected = format!("the metric whose difference is {}", quoted(&difference.info.id));
                    return Err(MapError::new(Kind::Order, place, expected, quoted(&column.info.id)));
                }
            }
        }
        Ok(())
    }
}

impl Beside {
    fn validate(&self, place: &str) -> Result<(), MapError> {
        if self.id.is_empty() {
            return Err(MapError::new(Kind::Field, format!("{place}.id"), "an id", "an empty one"));
        }
        if self.rows.len() > MAX_CELLS {
            let expected = format!("at most {MAX_CELLS} rows");
            return Err(MapError::new(Kind::Size, format!("{place}.rows"), expected, self.rows.len().to_string()));
        }
        for (at, row) in self.rows.iter().enumerate() {
            row.score.check().map_err(|(expected, found)| {
                MapError::new(Kind::Number, format!("{place}.rows[{at}]"), expected, found)
            })?;
        }
        Ok(())
    }
}

impl Grid {
    fn validate(&self) -> Result<(), MapError> {
        if self.layers > MAX_LAYERS {
            let expected = format!("at most {MAX_LAYERS} layers");
            return Err(MapError::new(Kind::Size, "grid.layers", expected, self.layers.to_string()));
        }
        if self.cells.len() > MAX_CELLS {
            let expected = format!("at most {MAX_CELLS} cells");
            return Err(MapError::new(Kind::Size, "grid.cells", expected, self.cells.len().to_string()));
        }
        let mut previous: Option<CellId> = None;
        for (at, cell) in self.cells.iter().enumerate() {
            let error = |kind, expected: String, found: String| {
                Err(MapError::new(kind, format!("grid.cells[{at}]"), expected, found))
            };
            if cell.id.layer >= self.layers {
                return error(Kind::Length, format!("a layer below {}", self.layers), cell.id.layer.to_string());
            }
            if let Some(before) = previous.filter(|p| *p >= cell.id) {
                let expected = format!("cells sorted by layer, component, expert, so after {before}");
                return error(Kind::Order, expected, cell.id.to_string());
            }
            let same_place = previous.filter(|p| (p.layer, p.component) == (cell.id.layer, cell.id.component));
            if same_place.is_some_and(|p| p.expert.is_none()) {
                return error(Kind::Order, "a dense projection or experts at one place".into(), "both".into());
            }
            if cell.out_features == 0 || cell.out_features.checked_mul(cell.in_features).is_none_or(|n| n == 0) {
                let found = format!("{} x {}", cell.out_features, cell.in_features);
                return error(Kind::Size, "a shape of at least 1 and below 2^64 weights".into(), found);
            }
            previous = Some(cell.id);
        }
        self.validate_missing()
    }

    fn validate_missing(&self) -> Result<(), MapError> {
        for (at, column) in self.missing.iter().enumerate() {
            let place = format!("grid.missing[{at}]");
            if self.missing[..at].iter().any(|m| m.component == column.component) {
                let found = format!("{} again", column.component);
                return Err(MapError::new(Kind::Order, place, "components that occur once", found));
            }
            if let Some(cell) = self.cells.iter().find(|c| c.id.component == column.component) {
                let expected = format!("no cell of the missing column {}", column.component);
                return Err(MapError::new(Kind::Order, place, expected, cell.id.to_string()));
            }
        }
        Ok(())
    }
}

impl Column {
    fn validate(&self, place: &str, cells: usize) -> Result<(), MapError> {
        if self.info.id.is_empty() {
            return Err(MapError::new(Kind::Field, format!("{place}.id"), "an id", "an empty one"));
        }
        if let Some(middle) = self.info.middle.filter(|m| !m.is_finite()) {
            return Err(MapError::new(Kind::Number, format!("{place}.middle"), "a finite number", middle.to_string()));
        }
        if self.scores.len() != cells {
            let expected = format!("{cells} scores, one per cell of the grid");
            return Err(MapError::new(
                Kind::Length,
                format!("{place}.scores"),
                expected,
                self.scores.len().to_string(),
            ));
        }
        if let Some(Err((expected, found))) = self.measurement.as_ref().map(|m| m.check(cells)) {
            return Err(MapError::new(Kind::Number, format!("{place}.measurement"), expected, found));
        }
        for (at, score) in self.scores.iter().enumerate() {
            score.check().map_err(|(expected, found)| {
                MapError::new(Kind::Number, format!("{place}.scores[{at}]"), expected, found)
            })?;
        }
        Ok(())
    }
}

impl Score {
    /// Whether status, value, interval and reason go together; else what was expected and found.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        match (self.status(), self.value()) {
            (Status::Ok, Some(value)) if !value.is_finite() => return Err(("a finite value", value.to_string())),
            (Status::Ok, None) => return Err(("a value with status ok", "none".into())),
            (Status::Ok, Some(_)) => {}
            (_, Some(value)) => return Err(("no value with a status other than ok", value.to_string())),
            (_, None) if self.reason().is_none() => {
                return Err(("a reason with a status other than ok", "none".into()));
            }
            (_, None) => {}
        }
        match self.interval() {
            Some(_) if self.value().is_none() => Err(("no interval without a value", "one".into())),
            Some((low, high)) if !(low.is_finite() && high.is_finite() && low <= high) => {
                Err(("a finite interval, low before high", format!("[{low}, {high}]")))
            }
            _ => Ok(()),
        }
    }
}
