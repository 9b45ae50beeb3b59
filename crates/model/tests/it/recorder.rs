//! An observer that keeps everything, under the names of the parity fixtures.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tomo_map::Component;
use tomo_model::engine::{CellWeights, Observer, Port, Seen, Tap};

/// Everything a pass handed out: `[rows, cols]` by name.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) taps: Mutex<BTreeMap<String, (usize, Vec<f32>)>>,
    pub(crate) weighed: Mutex<Vec<usize>>,
}

impl Observer for Recorder {
    fn wants(&self, _tap: Tap) -> bool {
        true
    }

    fn see(&self, seen: &Seen<'_>) {
        let values = seen.rows.iter().flatten().copied().collect();
        let old = self.taps.lock().unwrap().insert(name(seen), (seen.rows.cols(), values));
        assert!(old.is_none(), "{} came twice", name(seen));
        if let Some(against) = seen.against {
            assert_eq!((against.len(), against.cols()), (seen.rows.len(), seen.rows.cols()), "{}", name(seen));
        }
    }

    fn wants_weights(&self) -> bool {
        true
    }

    fn weigh(&self, weights: &CellWeights<'_>) {
        assert_eq!(weights.values.len() % weights.cols, 0);
        self.weighed.lock().unwrap().push(weights.cell);
    }
}

fn name(seen: &Seen<'_>) -> String {
    let expert = seen.expert.map_or(String::new(), |e| format!("[{e}]"));
    let of_component = |c: Component| format!("{c}{expert}.out");
    let what = match seen.tap {
        Tap::Input(Port::Attention) => "attn.in".to_owned(),
        Tap::Input(Port::AttentionOut) => "attn.o.in".to_owned(),
        Tap::Input(Port::Mlp) => format!("mlp{expert}.in"),
        Tap::Input(Port::MlpDown) => format!("mlp.down{expert}.in"),
        Tap::Output(component) => of_component(component),
        Tap::ResidualIn => "residual_in".to_owned(),
        Tap::AttentionAdd => "attention_add".to_owned(),
        Tap::MlpAdd => "mlp_add".to_owned(),
        Tap::ResidualOut => "residual_out".to_owned(),
        Tap::Routing => "router".to_owned(),
        Tap::FinalHidden => return format!("hidden.{}", seen.sequence),
    };
    format!("L{}.{what}.{}", seen.layer, seen.sequence)
}
