# Everything a contributor runs; `.ci/run` calls the same commands.

default:
    @just --list

# The tests, as the README says them
test:
    cargo test --workspace

# Formatting, lints, documentation
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, sources and bans of dependencies (needs cargo-deny)
deny:
    cargo deny check

# The Python package on the dev profile, and its tests (needs maturin)
python:
    maturin develop -m python/Cargo.toml -E arrow,pandas,plot,test
    python -m pytest python/tests

# Main job on generated data
demo:
    cargo run --release -- demo

# Compare with peers on this machine; benches/README.md says what FOLDER holds and which Python runs it
compare folder *args:
    cargo build --release --workspace --bins --examples
    python3 benches/compare/speed.py {{folder}} {{args}}

# What CI runs
ci:
    bash .ci/run
