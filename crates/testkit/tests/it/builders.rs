use tomo_checkpoint::{Config, ErrorKind, Source};
use tomo_map::{CellId, Component, Score};
use tomo_testkit::{LlamaDims, MemorySource, llama_source, metric_info, tiny_map};

#[test]
fn a_memory_source_keeps_the_contract_of_sources() {
    let source = MemorySource::new(Config::Absent)
        .with("b", &[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        .with("c", &[1], vec![7.0])
        .with("a", &[1], vec![9.0]);
    assert_eq!(source.tensors().iter().map(|t| &*t.name).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(source.tensor("b").unwrap().shape, [2, 3]);
    let mut out = [0.0; 2];
    source.decode("b", 2..4, &mut out).unwrap();
    assert_eq!(out, [2.0, 3.0]);
    assert_eq!(source.decode("d", 0..1, &mut out[..1]).unwrap_err().kind(), ErrorKind::Missing);
    assert!(source.decode("b", 5..7, &mut out).is_err(), "past the end");
    assert!(source.decode("b", 0..3, &mut out).is_err(), "an output that is too short");
    assert!(source.decode("b", u64::MAX - 1..u64::MAX, &mut out[..1]).is_err());
    assert!(source.clone().without("b").tensor("b").is_none());
    assert_eq!(source.clone().with("a", &[1], vec![8.0]).values("a"), Some(&[8.0][..]));
    assert_eq!(source.digest().unwrap(), source.clone().digest().unwrap());
    assert_ne!(source.digest().unwrap(), source.with("a", &[1], vec![8.0]).digest().unwrap());
}

#[test]
#[should_panic(expected = "5 values for shape [2, 3]")]
fn values_must_fill_the_shape() {
    let _ = MemorySource::new(Config::Absent).with("a", &[2, 3], vec![0.0; 5]);
}

#[test]
fn the_tiny_llama_has_its_shapes_and_distinct_tensors() {
    let source = llama_source(LlamaDims::TINY);
    assert_eq!(source.tensors().len(), 2 * 9 + 2);
    assert_eq!(source.tensor("model.layers.1.self_attn.k_proj.weight").unwrap().shape, [8, 12]);
    assert_eq!(source.tensor("model.layers.0.self_attn.o_proj.weight").unwrap().shape, [12, 16]);
    assert_eq!(source.tensor("model.layers.0.mlp.down_proj.weight").unwrap().shape, [12, 20]);
    let all: Vec<f32> = source.tensors().iter().flat_map(|t| source.values(&t.name).unwrap().to_vec()).collect();
    assert!(all.iter().all(|v| (-1.0..1.0).contains(v)));
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    assert!(mean.abs() < 0.05, "{mean}");
    assert_ne!(
        source.values("model.layers.0.mlp.up_proj.weight"),
        source.values("model.layers.0.mlp.gate_proj.weight")
    );
}

#[test]
fn a_tiny_map_answers_by_cell() {
    let depth = |id: CellId| Score::from_value(f64::from(id.layer));
    let map = tiny_map(LlamaDims::TINY, &[(metric_info("depth"), depth)]);
    let id = CellId { layer: 1, component: Component::MlpDown, expert: None };
    assert_eq!(map.score("depth", id).unwrap().value(), Some(1.0));
    assert_eq!(map.grid.cells.len(), 14);
    assert!(map.grid.cells.is_sorted_by_key(|c| c.id));
}
