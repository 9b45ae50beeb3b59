//! Which layers have a property.

use super::rules::{LayersFrom, WindowFrom};
use super::settings::{Datum, Settings};
use crate::error::ModelError;

impl Settings<'_> {
    pub(super) fn windows(&self, rule: &WindowFrom, rotated: &[bool]) -> Result<Vec<Option<usize>>, ModelError> {
        let layers = self.sizes.layers;
        let on = self.switch(rule.switch)?;
        let size = if on { self.count(rule.size, "the sliding window")? } else { None };
        // A list that calls layers windowed where there is no window contradicts it; no rule of thumb does.
        let listed = rule.layers.iter().copied().filter(|place| matches!(place, LayersFrom::Named(..)));
        let listed = listed.collect::<Vec<_>>();
        let flags = match size {
            Some(_) => self.layers(rule.layers, rotated)?,
            None if !listed.is_empty() => self.layers(&listed, rotated)?,
            None => vec![false; layers],
        };
        if size.is_none() && !rule.size.is_empty() && flags.contains(&true) {
            let LayersFrom::Named(key, ..) = listed[0] else { return Ok(vec![None; layers]) };
            return Err(self.wrong(key, "no windowed layers, since the config gives no window"));
        }
        Ok(flags.into_iter().map(|windowed| size.filter(|_| windowed)).collect())
    }

    /// One flag per layer, by the first place that the config fills in; none of them: false everywhere.
    pub(super) fn layers(&self, places: &[LayersFrom], rotated: &[bool]) -> Result<Vec<bool>, ModelError> {
        let count = self.sizes.layers;
        for place in places {
            let flags = match *place {
                LayersFrom::All => Some(vec![true; count]),
                LayersFrom::Named(key, this, that) => self.named(key, this, that)?,
                LayersFrom::Flags(key) => self.flags(key)?,
                LayersFrom::AllButEvery(number) => {
                    let n = self.count(&[number], "every how many layers")?;
                    n.map(|n| (0..count).map(|layer| !(layer + 1).is_multiple_of(n)).collect())
                }
                LayersFrom::From(number) => {
                    let first = self.number(&[number])?;
                    #[expect(clippy::cast_precision_loss, reason = "at most 10000 layers")]
                    first.map(|first| (0..count).map(|layer| layer as f64 >= first).collect())
                }
                LayersFrom::Unrotated => Some(rotated.iter().map(|rotated| !rotated).collect()),
            };
            if let Some(flags) = flags {
                return Ok(flags);
            }
        }
        Ok(vec![false; count])
    }

    fn named(&self, key: &str, this: &str, that: &str) -> Result<Option<Vec<bool>>, ModelError> {
        let count = self.sizes.layers;
        let Some(datum) = self.some(key) else { return Ok(None) };
        let wrong = || self.wrong(key, format!("a list of {count} names, {this} or {that}"));
        let names = datum.list().filter(|list| list.len() == count).ok_or_else(wrong)?;
        let flag = |datum: Datum<'_>| match datum.text() {
            Some(name) if name == this => Ok(true),
            Some(name) if name == that => Ok(false),
            _ => Err(wrong()),
        };
        names.into_iter().map(flag).collect::<Result<_, _>>().map(Some)
    }

    /// `None` also where the key holds no list: another rule may read it.
    fn flags(&self, key: &str) -> Result<Option<Vec<bool>>, ModelError> {
        let count = self.sizes.layers;
        let Some(list) = self.some(key).and_then(Datum::list) else { return Ok(None) };
        let wrong = || self.wrong(key, format!("a list of {count} entries, true or false"));
        if list.len() < count {
            return Err(wrong());
        }
        list.into_iter().take(count).map(|datum| datum.truth().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
    }
}
