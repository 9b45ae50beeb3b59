//! From every fixture's config to how it computes: expected values are written down from transformers' modeling files.

use crate::source::Fixture;

#[test]
fn every_fixture_can_be_run() {
    for fixture in Fixture::all() {
        let model = fixture.source().open().unwrap();
        let architecture = model.architecture().unwrap_or_else(|e| panic!("{}: {e}", fixture.case));
        eprintln!("{} {:#?}", fixture.case, (&architecture.embedding, &architecture.head, &architecture.ropes, architecture.layers.last()));
    }
}
