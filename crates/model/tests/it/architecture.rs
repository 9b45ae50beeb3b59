//! From every fixture's config to how it computes: expected values are written down from transformers' modeling files.

use crate::source::Fixture;

#[test]
fn every_fixture_can_be_run() {
    for fixture in Fixture::all() {
        let model = fixture.source().open().unwrap();
        assert_eq!(
            model.architecture().map(|a| a.layers.len()).map_err(|e| e.to_string()),
            Ok(model.dims().layers as usize)
        );
    }
}
