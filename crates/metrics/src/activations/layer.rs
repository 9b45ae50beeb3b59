//! What has been seen of one layer so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tomo_map::Component;
use tomo_model::engine::Port;

use super::lanes::Energies;
use super::sums::Sums;
use super::sweep::{Comparison, InputSweep};

/// An input that cells share: a port, of one expert in a mixture.
pub(crate) type Site = (Port, Option<u32>);

/// The sums of one layer, by sequence. What is large (columns, rows) goes when the layer's cells have been weighed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) inputs: BTreeMap<Site, Input>,
    pub(crate) outputs: BTreeMap<(Component, Option<u32>), Vec<Option<Output>>>,
    /// Attention, MLP, whole block.
    pub(crate) compared: [Vec<Option<Comparison>>; 3],
}

/// One site, by sequence.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) seen: Vec<Option<InputSweep>>,
    /// Cells of the site that have been weighed.
    pub(crate) weighed: usize,
}

/// One cell's outputs on one sequence.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Output {
    /// Sum of squared norms.
    pub(crate) total2: f64,
    /// Sum of `||y|| / ||x||`, and over how many tokens; known when the inputs have come too.
    pub(crate) gain: Option<(f64, f64)>,
    /// Squared norms, `[T]`, until then.
    norms2: Vec<f64>,
}

impl Layer {
    /// Takes the inputs of one sequence.
    pub(crate) fn add_input(&mut self, site: Site, sequence: usize, sequences: usize, sweep: InputSweep) {
        for component in site.0.components() {
            let output = self.outputs.get_mut(&(*component, site.1)).and_then(|seen| seen[sequence].as_mut());
            if let Some(output) = output {
                output.meet(&sweep);
            }
        }
        let input = self.inputs.entry(site).or_default();
        input.seen.resize_with(sequences, || None);
        input.seen[sequence] = Some(sweep);
    }

    /// Takes the squared norms of one cell's outputs on one sequence.
    pub(crate) fn add_output(
        &mut self,
        component: Component,
        expert: Option<u32>,
        sequence: usize,
        sequences: usize,
        norms2: Vec<f64>,
    ) {
        let mut output = Output { total2: norms2.iter().sum(), gain: None, norms2 };
        let input = self.inputs.get(&(Port::of(component), expert)).and_then(|input| input.seen[sequence].as_ref());
        if let Some(input) = input {
            output.meet(input);
        }
        let seen = self.outputs.entry((component, expert)).or_default();
        seen.resize_with(sequences, || None);
        seen[sequence] = Some(output);
    }

    /// The sums by column of a site, copied out, so that work on them holds no lock.
    pub(crate) fn energies(&self, site: Site, cols: usize) -> Option<Energies> {
        let input = self.inputs.get(&site)?;
        let seen = input.seen.iter().enumerate().filter_map(|(at, sweep)| Some((at, sweep.as_ref()?)));
        let columns = seen.filter(|(_, sweep)| sweep.tokens > 0 && sweep.columns2.len() == cols);
        let energies = Energies::new(cols, columns.map(|(at, s)| (at, s.tokens as f64, s.columns2.clone())));
        (energies.tokens > 0.0).then_some(energies)
    }

    /// A cell of the site has been weighed, one of `cells`; after the last the large sums go.
    pub(crate) fn weighed(&mut self, site: Site, cells: usize) {
        let Some(input) = self.inputs.get_mut(&site) else { return };
        input.weighed += 1;
        if input.weighed >= cells {
            for sweep in input.seen.iter_mut().flatten() {
                (sweep.columns2, sweep.columns, sweep.norms2) = (Vec::new(), Vec::new(), Vec::new());
            }
        }
    }

    /// Takes what another part of the scan saw of the layer: of both, whatever one knows.
    pub(crate) fn absorb(&mut self, other: Self) {
        fn each<T>(own: &mut Vec<Option<T>>, its: Vec<Option<T>>) {
            own.resize_with(own.len().max(its.len()), || None);
            own.iter_mut().zip(its).for_each(|(own, its)| *own = own.take().or(its));
        }
        for (site, input) in other.inputs {
            each(&mut self.inputs.entry(site).or_default().seen, input.seen);
        }
        for (output, seen) in other.outputs {
            each(self.outputs.entry(output).or_default(), seen);
        }
        self.compared.iter_mut().zip(other.compared).for_each(|(own, its)| each(own, its));
    }

    /// Sequences that it has places for.
    pub(crate) fn sequences(&self) -> usize {
        let inputs = self.inputs.values().map(|input| input.seen.len());
        let compared = self.compared.iter().map(Vec::len);
        inputs.chain(self.outputs.values().map(Vec::len)).chain(compared).max().unwrap_or(0)
    }

    /// Drops what only waits for what was not seen: rows of inputs whose outputs have come.
    pub(crate) fn settle(&mut self) {
        let inputs = self.inputs.values_mut().flat_map(|input| input.seen.iter_mut().flatten());
        inputs.for_each(|sweep| sweep.norms2 = Vec::new());
    }

    /// Tokens of one sequence that were sent to an expert.
    pub(crate) fn sent(&self, expert: u32, sequence: usize) -> usize {
        let input = self.inputs.get(&(Port::Mlp, Some(expert)));
        input.and_then(|input| input.seen[sequence].as_ref()).map_or(0, |sweep| sweep.tokens)
    }

    /// The same, all experts together.
    pub(crate) fn routed(&self, sequence: usize) -> usize {
        let experts = self.inputs.iter().filter(|((port, expert), _)| *port == Port::Mlp && expert.is_some());
        experts.filter_map(|(_, input)| input.seen[sequence].as_ref()).map(|sweep| sweep.tokens).sum()
    }

    /// Adds what is known of one cell's inputs and outputs on one sequence.
    pub(crate) fn add_to(&self, sums: &mut Sums, component: Component, expert: Option<u32>, sequence: usize) {
        let input = self.inputs.get(&(Port::of(component), expert)).and_then(|input| input.seen[sequence].as_ref());
        if let Some(sweep) = input {
            sums.tokens = sweep.tokens as f64;
            [sums.input, sums.input2, sums.input3, sums.input4] = sweep.powers;
        }
        let output = self.outputs.get(&(component, expert)).and_then(|seen| seen[sequence].as_ref());
        if let Some(output) = output {
            sums.output2 = output.total2;
            (sums.gain, sums.gain_tokens) = output.gain.unwrap_or_default();
        }
    }
}

impl Output {
    /// Divides by the inputs' norms, token by token, where both are known.
    fn meet(&mut self, input: &InputSweep) {
        if input.norms2.len() != self.norms2.len() {
            return;
        }
        let pairs = self.norms2.iter().zip(&input.norms2).filter(|(_, x)| **x != 0.0);
        let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), (y, x)| (sum + (y / x).sqrt(), count + 1.0));
        self.gain = Some((sum, count));
        self.norms2 = Vec::new();
    }
}
