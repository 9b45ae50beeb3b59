//! The reverse pass: gradients of scalars of each sequence, block by block from the last to the first.
//!
//! Forward, the residual stream before every block is kept, nothing else (or everything, where memory allows). Backward, a
//! block is loaded, run forward again from what was kept, then backward with the gradients of all objectives, one below the
//! other: what a block made forward serves every objective.

use super::block::{Block, BlockGradients, Gradients, RotaryTables, Tape, hand_out_norm};
use super::error::EngineError;
use super::gradient::{GradientObserver, Input, Loss, Objective, ReverseOutcome};
use super::head::{HeadRun, Targets};
use super::memory::ReversePlan;
use super::ops::{Columns, norm_gradient, normalise, normalise_backward};
use super::pass::{Embedded, Engine, PassProgress, groups};
use super::resume::{At, Resume, State};
use super::store::Store;
use super::tap::Rows;
use super::taps::{Group, Taps};
use super::weights::load_norm;
use crate::architecture::Architecture;
use crate::counter::uniform;

/// Rows of gradients that go through a block together, over all objectives: enough for the products to be efficient.
const STACKED_ROWS: usize = 4096;

impl Engine {
    /// Gradients of `objectives` of every sequence of `inputs`, handed to `observers` cell by cell. One reading of the
    /// weights forward, one backward, whatever the number of sequences and objectives. Same inputs, same build, same thread
    /// count: same bits, whatever is kept, streamed or resumed.
    ///
    /// With `resume`, the pass leaves after every block what it needs to go on, and goes on from what it finds.
    ///
    /// # Errors
    /// As [`Engine::forward`]; an objective that does not fit the sequences; a scratch file or folder that cannot be used. A
    /// cancelled pass is not an error.
    pub fn reverse(
        &self,
        inputs: &[Input],
        objectives: &[Objective],
        observers: &mut [&mut dyn GradientObserver],
        plan: &ReversePlan,
        resume: Option<&Resume>,
        progress: &dyn PassProgress,
    ) -> Result<ReverseOutcome, EngineError> {
        self.check_sequences(inputs.iter().map(|i| i.tokens.as_slice()))?;
        self.check_sequences(inputs.iter().filter_map(|i| Some(i.blend.as_ref()?.from.as_slice())))?;
        self.check_objectives(inputs, objectives)?;
        let groups = reverse_groups(inputs.iter().map(|i| i.tokens.len()), objectives.len());
        let mut pass = Reverse {
            engine: self,
            inputs,
            objectives,
            groups,
            rotary: self.rotary_tables(inputs.iter().map(|i| i.tokens.len())),
            plan,
            resume,
            store: match resume {
                Some(resume) => resume.store()?,
                None if plan.inputs_on_disk => Store::unnamed()?,
                None => Store::Memory(Vec::new()),
            },
            tapes: Vec::new(),
            progress,
        };
        let steps = 2 * self.architecture.layers.len() + 1 - pass.lowest_layer(observers);
        progress.start(pass.groups.len() * steps);
        pass.run(observers)
    }

    fn check_objectives(&self, inputs: &[Input], objectives: &[Objective]) -> Result<(), EngineError> {
        let fits = |objective: &Objective, sequence: usize, tokens: usize| {
            let ascending = |p: &[usize]| p.windows(2).all(|w| w[0] < w[1]);
            let positions = match &objective.positions {
                None => true,
                Some(all) => all.get(sequence).is_some_and(|p| {
                    ascending(p) && p.first().is_none_or(|p| *p > 0) && p.last().is_none_or(|p| *p < tokens)
                }),
            };
            let labels = match &objective.loss {
                Loss::Text | Loss::Drawn { .. } => true,
                Loss::Labels(all) => all.get(sequence).is_some_and(|l| {
                    l.len() + 1 == tokens && l.iter().all(|y| (*y as usize) < self.architecture.vocab)
                }),
                Loss::Divergence(all) => {
                    all.get(sequence).is_some_and(|h| h.len() == tokens * self.architecture.hidden)
                }
            };
            positions && labels
        };
        for (number, objective) in objectives.iter().enumerate() {
            for (sequence, input) in inputs.iter().enumerate() {
                if !fits(objective, sequence, input.tokens.len()) {
                    return Err(EngineError::Objective { objective: number, sequence });
                }
            }
        }
        if objectives.is_empty() {
            return Err(EngineError::Objective { objective: 0, sequence: 0 });
        }
        Ok(())
    }
}

/// Groups of a reverse pass. They depend on nothing but the lengths and the number of objectives, so that a budget never
/// changes a bit.
pub(super) fn reverse_groups(lengths: impl Iterator<Item = usize>, objectives: usize) -> Vec<Group> {
    groups(lengths, (STACKED_ROWS / objectives.max(1)).min(super::memory::GROUP_ROWS))
}

/// A reverse pass on its way.
struct Reverse<'a> {
    engine: &'a Engine,
    inputs: &'a [Input],
    objectives: &'a [Objective],
    groups: Vec<Group>,
    rotary: RotaryTables,
    plan: &'a ReversePlan,
    resume: Option<&'a Resume>,
    /// The residual stream before every block, and after the last.
    store: Store,
    /// What each block made of each group, where that is kept.
    tapes: Vec<Vec<Tape>>,
    progress: &'a dyn PassProgress,
}

impl Reverse<'_> {
    fn run(&mut self, observers: &mut [&mut dyn GradientObserver]) -> Result<ReverseOutcome, EngineError> {
        let cancelled = ReverseOutcome { losses: Vec::new(), completed: false };
        let layers = self.engine.architecture.layers.len();
        let left = match self.resume.and_then(Resume::load) {
            Some(state) if self.takes(&state, observers)? => Some(state),
            _ => None,
        };
        let mut state = match left {
            Some(state @ State { at: At::Backward(above), .. }) => {
                for _ in 0..self.groups.len() * (2 * layers + 1 - above) {
                    self.progress.step(u32::try_from(above).unwrap_or(u32::MAX));
                }
                state
            }
            earlier => {
                let first = match earlier {
                    Some(State { at: At::Forward(layer), .. }) => layer,
                    _ => 0,
                };
                if !self.forward(first)? {
                    return Ok(cancelled);
                }
                let FromHead { losses, stream } = self.head(observers)?;
                State { at: At::Backward(layers), losses, stream, observers: Vec::new() }
            }
        };
        if !self.backward(&mut state, observers)? {
            return Ok(ReverseOutcome { losses: state.losses, ..cancelled });
        }
        Ok(ReverseOutcome { losses: state.losses, completed: true })
    }

    /// Whether what an earlier pass left fits this one, and its observers took what they saved.
    fn takes(&self, state: &State, observers: &mut [&mut dyn GradientObserver]) -> Result<bool, EngineError> {
        let layer = match state.at {
            At::Forward(layer) => return Ok(layer <= self.engine.architecture.layers.len()),
            At::Backward(layer) => layer,
            At::Head(_) => return Ok(false),
        };
        let width = self.objectives.len() * self.engine.architecture.hidden;
        let sizes = self.groups.iter().map(|g| g.rows() * width);
        let fits = layer <= self.engine.architecture.layers.len()
            && state.stream.iter().map(Vec::len).eq(sizes)
            && state.observers.len() == observers.len();
        if !fits {
            return Ok(false);
        }
        for (at, (observer, saved)) in observers.iter_mut().zip(&state.observers).enumerate() {
            match observer.restore(saved) {
                Ok(()) => {}
                Err(_) if at == 0 => return Ok(false),
                // Those before it have taken theirs and cannot begin anew.
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn rows(&self) -> usize {
        self.groups.iter().map(Group::rows).sum()
    }

    /// Runs all blocks from `first` on forward and keeps what goes into them. `false`: cancelled.
    fn forward(&mut self, first: usize) -> Result<bool, EngineError> {
        let engine = self.engine;
        let (hidden, layers) = (engine.architecture.hidden, &engine.architecture.layers);
        let mut residual = match first {
            0 => engine.pool.install(|| engine.embed(&self.embedded()))?,
            _ => {
                let mut residual = vec![0.0; self.rows() * hidden];
                self.store.get(first, &mut residual)?;
                residual
            }
        };
        self.store.put(first, &residual)?;
        for _ in 0..first * self.groups.len() {
            self.progress.step(0);
        }
        let taps = Taps::new(&[]);
        let order: Vec<usize> = (first..layers.len()).collect();
        let mut spare = Tape::default();
        engine.each_block(&order, self.plan.resident, |layer, weights| {
            let number = u32::try_from(layer).unwrap_or(u32::MAX);
            let (spec, rotary) = (&layers[layer], &self.rotary);
            let block = Block { layer: number, hidden, spec, weights, rotary, taps: &taps };
            let mut rest = residual.as_mut_slice();
            let mut kept = Vec::new();
            for group in &self.groups {
                if self.progress.is_cancelled() {
                    return Ok(false);
                }
                let (own, after) = rest.split_at_mut(group.rows() * hidden);
                rest = after;
                if self.plan.keeps_activations {
                    let mut tape = Tape::kept();
                    engine.pool.install(|| block.forward(group, own, &mut tape));
                    kept.push(tape);
                } else {
                    engine.pool.install(|| block.forward(group, own, &mut spare));
                }
                self.progress.step(number);
            }
            if self.plan.keeps_activations {
                self.tapes.resize_with(layer, Vec::new);
                self.tapes.push(kept);
            }
            self.store.put(layer + 1, &residual)?;
            if let Some(resume) = self.resume {
                let at = At::Forward(layer + 1);
                resume.save(&State { at, losses: Vec::new(), stream: Vec::new(), observers: Vec::new() })?;
            }
            Ok(true)
        })
    }

    fn embedded(&self) -> Vec<Embedded> {
        let of = |input: &Input| -> Vec<Embedded> {
            let embedded = |(position, token): (usize, &u32)| {
                let blend = input.blend.as_ref().and_then(|b| Some((*b.from.get(position)?, b.share)));
                Embedded { position, token: *token, blend }
            };
            input.tokens.iter().enumerate().map(embedded).collect()
        };
        self.inputs.iter().flat_map(of).collect()
    }

    /// Rows whose predictions some objective sums: row in the pass, sequence, position of the predicted token.
    fn predicting(&self) -> Vec<(usize, usize, usize)> {
        let mut rows = Vec::new();
        let mut start = 0;
        for (sequence, input) in self.inputs.iter().enumerate() {
            for position in 1..input.tokens.len() {
                if self.objectives.iter().any(|o| sums(o, sequence, position)) {
                    rows.push((start + position - 1, sequence, position));
                }
            }
            start += input.tokens.len();
        }
        rows
    }

    /// Losses, and dL/d(residual after the last block) group by group.
    fn head(&mut self, observers: &mut [&mut dyn GradientObserver]) -> Result<FromHead, EngineError> {
        let engine = self.engine;
        let Architecture { hidden, final_norm, layers, .. } = &engine.architecture;
        let (hidden, last) = (*hidden, layers.len());
        let mut residual = vec![0.0; self.rows() * hidden];
        self.store.get(last, &mut residual)?;
        let norm = load_norm(&engine.model, final_norm, hidden, hidden)?;
        let rows = self.predicting();
        let mut gathered = Vec::with_capacity(rows.len() * hidden);
        rows.iter().for_each(|(row, ..)| gathered.extend_from_slice(&residual[row * hidden..][..hidden]));
        let mut normed = vec![0.0; gathered.len()];
        engine.pool.install(|| normalise(&gathered, &norm, &mut normed));

        let targets: Vec<OwnedTargets> = self.objectives.iter().map(|o| self.targets(o, &rows)).collect();
        let targets: Vec<Targets<'_>> = targets.iter().map(OwnedTargets::as_targets).collect();
        let head = engine.head_run(engine.head_weights(self.plan.resident)?);
        let mut found = engine.pool.install(|| head.backward(&normed, &targets))?;
        for (objective, gradients) in self.objectives.iter().zip(&mut found.gradients) {
            for ((_, sequence, position), row) in rows.iter().zip(gradients.chunks_exact_mut(hidden)) {
                if !sums(objective, *sequence, *position) {
                    row.fill(0.0);
                }
            }
        }
        let losses = self.losses(&found.losses, &rows)?;

        let mut wanted = self.gradients(observers);
        if wanted.parameters {
            let whole = Columns { stride: hidden, first: 0, count: 1, width: hidden };
            for (k, g) in found.gradients.iter().enumerate() {
                let mut weight = vec![0.0; norm.weight.len()];
                let mut bias = vec![0.0; norm.bias.as_ref().map_or(0, Vec::len)];
                let into_bias = norm.bias.as_ref().map(|_| bias.as_mut_slice());
                norm_gradient(
                    Rows::dense(&gathered, hidden),
                    whole,
                    &norm,
                    Rows::dense(g, hidden),
                    &mut weight,
                    into_bias,
                );
                hand_out_norm(final_norm, k, (&weight, &bias), &mut wanted);
            }
            self.head_parameters(&head, (&normed, &rows), (&targets, &found.labels), &mut wanted)?;
        }

        let mut stream: Vec<Vec<f32>> =
            self.groups.iter().map(|g| vec![0.0; self.objectives.len() * g.rows() * hidden]).collect();
        for (k, g) in found.gradients.iter().enumerate() {
            let mut dx = vec![0.0; gathered.len()];
            engine.pool.install(|| normalise_backward(&gathered, &norm, g, &mut dx));
            let (mut group, mut start) = (0, 0);
            for ((row, ..), dx) in rows.iter().zip(dx.chunks_exact(hidden)) {
                while row - start >= self.groups[group].rows() {
                    start += self.groups[group].rows();
                    group += 1;
                }
                let at = (k * self.groups[group].rows() + row - start) * hidden;
                stream[group][at..at + hidden].copy_from_slice(dx);
            }
        }
        for _ in &self.groups {
            self.progress.step(u32::try_from(last).unwrap_or(u32::MAX));
        }
        Ok(FromHead { losses, stream })
    }

    /// Gradients of the head's weights and bias.
    fn head_parameters(
        &self,
        head: &HeadRun<'_>,
        (normed, rows): (&[f32], &[(usize, usize, usize)]),
        (targets, labels): (&[Targets<'_>], &[Vec<u32>]),
        wanted: &mut Gradients<'_, '_>,
    ) -> Result<(), EngineError> {
        let Architecture { hidden, vocab, head: spec, .. } = &self.engine.architecture;
        for (k, ((objective, target), labels)) in self.objectives.iter().zip(targets).zip(labels).enumerate() {
            let own = |(at, (_, sequence, position)): (usize, &(usize, usize, usize))| {
                sums(objective, *sequence, *position).then_some(at)
            };
            let own: Vec<usize> = rows.iter().enumerate().filter_map(own).collect();
            let gather = |values: &[f32]| -> Vec<f32> {
                own.iter().flat_map(|at| &values[at * hidden..(at + 1) * hidden]).copied().collect()
            };
            let labels: Vec<u32> = own.iter().filter_map(|at| labels.get(*at)).copied().collect();
            let reference = match target {
                Targets::Divergence(reference) => Some(gather(reference)),
                Targets::Labels(_) | Targets::Drawn(_) => None,
            };
            let mut weights = vec![0.0; vocab * hidden];
            let mut bias = vec![0.0; spec.bias.as_ref().map_or(0, |_| *vocab)];
            let into_bias = spec.bias.as_ref().map(|_| bias.as_mut_slice());
            let values = gather(normed);
            let held = (labels.as_slice(), reference.as_deref());
            self.engine.pool.install(|| head.weight_gradient(&values, held, &mut weights, into_bias))?;
            wanted.parameter(&spec.tensor, k, &weights);
            if let Some(name) = &spec.bias {
                wanted.parameter(name, k, &bias);
            }
        }
        Ok(())
    }

    /// What the head is to be held against, row by row.
    fn targets(&self, objective: &Objective, rows: &[(usize, usize, usize)]) -> OwnedTargets {
        let hidden = self.engine.architecture.hidden;
        match &objective.loss {
            Loss::Text => OwnedTargets::Labels(rows.iter().map(|(_, s, p)| self.inputs[*s].tokens[*p]).collect()),
            Loss::Labels(all) => OwnedTargets::Labels(rows.iter().map(|(_, s, p)| all[*s][p - 1]).collect()),
            Loss::Drawn { seed, draw } => OwnedTargets::Drawn(
                rows.iter().map(|(_, s, p)| uniform([*seed, *draw, self.number(*s), *p as u64])).collect(),
            ),
            Loss::Divergence(all) => OwnedTargets::Divergence(
                rows.iter().flat_map(|(_, s, p)| &all[*s][(p - 1) * hidden..p * hidden]).copied().collect(),
            ),
        }
    }

    /// Number of a sequence of the pass in its text.
    fn number(&self, sequence: usize) -> u64 {
        self.inputs[sequence].number.unwrap_or(sequence as u64)
    }

    /// Losses by objective and sequence, of the tokens that are summed.
    fn losses(&self, found: &[Vec<f64>], rows: &[(usize, usize, usize)]) -> Result<Vec<Vec<Vec<f64>>>, EngineError> {
        let mut losses = vec![vec![Vec::new(); self.inputs.len()]; self.objectives.len()];
        for ((objective, found), losses) in self.objectives.iter().zip(found).zip(&mut losses) {
            for ((_, sequence, position), loss) in rows.iter().zip(found) {
                if !sums(objective, *sequence, *position) {
                    continue;
                }
                if !loss.is_finite() {
                    return Err(EngineError::Overflow { sequence: *sequence, position: *position, value: *loss });
                }
                losses[*sequence].push(*loss);
            }
        }
        Ok(losses)
    }

    /// All blocks backward from where `state` is. `false`: cancelled.
    fn backward(
        &mut self,
        state: &mut State,
        observers: &mut [&mut dyn GradientObserver],
    ) -> Result<bool, EngineError> {
        let engine = self.engine;
        let (hidden, layers) = (engine.architecture.hidden, &engine.architecture.layers);
        let At::Backward(above) = state.at else { return Ok(false) };
        let taps = Taps::new(&[]);
        let order: Vec<usize> = (self.lowest_layer(observers)..above).rev().collect();
        let mut scratch =
            Backward { residual: vec![0.0; self.rows() * hidden], tape: Tape::kept(), own: BlockGradients::default() };
        let done = engine.each_block(&order, self.plan.resident, |layer, weights| {
            let number = u32::try_from(layer).unwrap_or(u32::MAX);
            let rotary = std::mem::take(&mut self.rotary);
            let block = Block { layer: number, hidden, spec: &layers[layer], weights, rotary: &rotary, taps: &taps };
            let ran = self.block_backward(&block, state, observers, &mut scratch);
            self.rotary = rotary;
            if !ran? {
                return Ok(false);
            }
            observers.iter_mut().for_each(|o| engine.pool.install(|| o.layer_done(number)));
            state.at = At::Backward(layer);
            if let Some(resume) = self.resume {
                state.observers = observers.iter().map(|o| o.save()).collect();
                resume.save(state)?;
            }
            Ok(true)
        })?;
        if done {
            let mut wanted = self.gradients(observers);
            if wanted.parameters {
                self.embedding_parameters(&state.stream, &mut wanted);
            }
        }
        Ok(done)
    }

    /// Where the way back ends: gradients of what lies below are nobody's.
    fn lowest_layer(&self, observers: &[&mut dyn GradientObserver]) -> usize {
        let lowest = |o: &&mut dyn GradientObserver| if o.wants_parameters() { 0 } else { o.lowest_layer() };
        observers.iter().map(|o| lowest(o) as usize).min().unwrap_or(0)
    }

    /// One block backward on all groups. `false`: cancelled.
    fn block_backward(
        &mut self,
        block: &Block<'_>,
        state: &mut State,
        observers: &mut [&mut dyn GradientObserver],
        scratch: &mut Backward,
    ) -> Result<bool, EngineError> {
        let (engine, layer) = (self.engine, block.layer as usize);
        let kept = self.tapes.get_mut(layer).map(std::mem::take).filter(|tapes| !tapes.is_empty());
        if kept.is_none() {
            self.store.get(layer, &mut scratch.residual)?;
        }
        let mut wanted = self.gradients(observers);
        let mut rest = scratch.residual.as_mut_slice();
        for (at, (group, stream)) in self.groups.iter().zip(&mut state.stream).enumerate() {
            if self.progress.is_cancelled() {
                return Ok(false);
            }
            let (own, after) = rest.split_at_mut(group.rows() * block.hidden);
            rest = after;
            engine.pool.install(|| {
                let tape = match &kept {
                    Some(kept) => &kept[at],
                    None => {
                        block.forward(group, own, &mut scratch.tape);
                        &scratch.tape
                    }
                };
                block.backward(group, tape, stream, &mut scratch.own, &mut wanted);
            });
            self.progress.step(block.layer);
        }
        if wanted.parameters {
            block.hand_out_parameters(&mut scratch.own, &mut wanted);
        }
        Ok(true)
    }

    fn gradients<'g, 'o>(&self, observers: &'g mut [&'o mut dyn GradientObserver]) -> Gradients<'g, 'o> {
        let parameters = observers.iter().any(|o| o.wants_parameters());
        Gradients { observers, objectives: self.objectives.len(), parameters }
    }

    /// Gradients of the embedding and of learned positions.
    fn embedding_parameters(&self, stream: &[Vec<f32>], wanted: &mut Gradients<'_, '_>) {
        let Architecture { hidden, vocab, embedding, .. } = &self.engine.architecture;
        let tokens = self.embedded();
        let longest = tokens.iter().map(|e| e.position + 1).max().unwrap_or(0);
        let positions = embedding.positions.as_ref().map(|name| {
            let rows = self.engine.model.source().tensor(name).and_then(|t| usize::try_from(t.numel()).ok());
            (name, rows.unwrap_or(longest * hidden))
        });
        for k in 0..self.objectives.len() {
            let mut table = vec![0.0; vocab * hidden];
            let mut learned = vec![0.0; positions.map_or(0, |(_, size)| size)];
            let mut start = 0;
            for (group, stream) in self.groups.iter().zip(stream) {
                let own = stream[k * group.rows() * hidden..][..group.rows() * hidden].chunks_exact(*hidden);
                for (embedded, g) in tokens[start..start + group.rows()].iter().zip(own) {
                    let add = |row: usize, factor: f32, table: &mut [f32]| {
                        table[row * hidden..][..*hidden].iter_mut().zip(g).for_each(|(d, g)| *d += factor * g);
                    };
                    let share = embedded.blend.map_or(1.0, |(_, share)| share);
                    add(embedded.token as usize, share * embedding.scale, &mut table);
                    if let Some((from, share)) = embedded.blend {
                        add(from as usize, (1.0 - share) * embedding.scale, &mut table);
                    }
                    if !learned.is_empty() {
                        add(embedded.position, 1.0, &mut learned);
                    }
                }
                start += group.rows();
            }
            wanted.parameter(&embedding.tensor, k, &table);
            if let Some((name, _)) = positions {
                wanted.parameter(name, k, &learned);
            }
        }
    }
}

/// What the head gave.
struct FromHead {
    /// Per objective and sequence.
    losses: Vec<Vec<Vec<f64>>>,
    /// dL/d(residual after the last block), group by group: `[K R, D]`.
    stream: Vec<Vec<f32>>,
}

/// What a sweep backward uses again and again.
struct Backward {
    /// `[N, D]`.
    residual: Vec<f32>,
    tape: Tape,
    own: BlockGradients,
}

/// What the head is held against, owned.
enum OwnedTargets {
    Labels(Vec<u32>),
    Drawn(Vec<f64>),
    Divergence(Vec<f32>),
}

impl OwnedTargets {
    fn as_targets(&self) -> Targets<'_> {
        match self {
            Self::Labels(labels) => Targets::Labels(labels),
            Self::Drawn(uniforms) => Targets::Drawn(uniforms),
            Self::Divergence(hidden) => Targets::Divergence(hidden),
        }
    }
}

/// Whether `objective` sums the token at `position`.
fn sums(objective: &Objective, sequence: usize, position: usize) -> bool {
    match &objective.positions {
        None => true,
        Some(all) => all.get(sequence).is_some_and(|p| p.binary_search(&position).is_ok()),
    }
}
