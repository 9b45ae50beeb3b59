use super::{Case, file, place};

const ALIGNMENT: &str = "general.alignment";

/// Writes whatever it is told, in GGUF's notation.
#[derive(Clone)]
pub(crate) struct Raw(Vec<u8>);

impl Raw {
    pub(crate) fn new(n_tensors: u64, n_entries: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(3).u64(n_tensors).u64(n_entries)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn u8(self, n: u8) -> Self {
        self.bytes(&[n])
    }

    fn u32(self, n: u32) -> Self {
        self.bytes(&n.to_le_bytes())
    }

    fn u64(self, n: u64) -> Self {
        self.bytes(&n.to_le_bytes())
    }

    fn text(self, text: &[u8]) -> Self {
        self.u64(text.len() as u64).bytes(text)
    }

    /// Key and type of a metadata entry; its value follows.
    fn key(self, key: &str, kind: u32) -> Self {
        self.text(key.as_bytes()).u32(kind)
    }

    pub(crate) fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let described = dims.iter().fold(self.text(name.as_bytes()).u32(dims.len() as u32), |raw, &dim| raw.u64(dim));
        described.u32(kind).u64(offset)
    }

    /// Pads to 32 bytes and adds `n` of data.
    pub(crate) fn data(mut self, n: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + n, 0);
        self.0
    }
}

fn raw(name: &'static str, raw: Raw, says: &'static str) -> Case {
    file(name, "model.gguf", raw.0, says)
}

fn with_data(name: &'static str, raw: Raw, says: &'static str) -> Case {
    file(name, "model.gguf", raw.data(64), says)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = heads();
    all.extend(metadata());
    all.extend(arrays());
    all.extend(tensors());
    all.extend(offsets());
    all.extend(splits());
    all
}

fn heads() -> Vec<Case> {
    let version = |bytes: [u8; 4]| Raw(b"GGUF".to_vec()).bytes(&bytes).u64(0).u64(0);
    vec![
        file("nothing in a .gguf", "model.gguf", vec![], "the file is empty"),
        file("magic alone", "model.gguf", b"GGUF".to_vec(), "runs past the end"),
        file("half a magic", "model.gguf", b"GG".to_vec(), "runs past the end"),
        file("another magic", "model.gguf", b"GGML\x03\0\0\0".to_vec(), "not a GGUF file"),
        raw("version 0", version([0, 0, 0, 0]), "unknown GGUF version"),
        raw("version 1", version([1, 0, 0, 0]), "unknown GGUF version"),
        raw("version 4", version([4, 0, 0, 0]), "unknown GGUF version"),
        raw("big endian", version([0, 0, 0, 3]), "big-endian"),
        raw("2^64 - 1 tensors", Raw::new(u64::MAX, 0), "too many tensors"),
        raw("2^18 tensors in no bytes", Raw::new(1 << 18, 0), "runs past the end"),
        raw("one tensor in no bytes", Raw::new(1, 0), "runs past the end"),
        raw("2^64 - 1 entries", Raw::new(0, u64::MAX), "too many metadata entries"),
        raw("2^16 entries in no bytes", Raw::new(0, 1 << 16), "runs past the end"),
        raw("one entry fewer than declared", Raw::new(0, 2).key("a", 0).u8(1), "runs past the end"),
        raw("one tensor fewer than declared", Raw::new(2, 0).tensor("a", &[1], 0, 0), "runs past the end"),
    ]
}

fn metadata() -> Vec<Case> {
    let one = || Raw::new(0, 1);
    let long = vec![b'a'; 33 << 20];
    vec![
        raw("key length 2^64 - 1", one().u64(u64::MAX).bytes(&[0; 64]), "runs past the end"),
        raw("key length past the file", one().u64(1000).bytes(&[b'a'; 64]), "runs past the end"),
        raw("key not UTF-8", one().text(b"\xff\xfe").u32(0).u8(0), "not UTF-8"),
        raw("value not UTF-8", one().key("a", 8).text(b"\xc3\x28"), "not UTF-8"),
        raw("value type 13", one().key("a", 13).u64(0), "unknown type of metadata value"),
        raw("value type 2^32 - 1", one().key("a", u32::MAX).u64(0), "unknown type of metadata value"),
        raw("value cut", one().key("a", 10).u32(0), "runs past the end"),
        raw("boolean of 2", one().key("a", 7).u8(2), "neither true nor false"),
        raw("text length 2^64 - 1", one().key("a", 8).u64(u64::MAX), "runs past the end"),
        raw("text length 2^63", one().key("a", 8).u64(1 << 63).bytes(&[0; 64]), "runs past the end"),
        raw("one key twice", Raw::new(0, 2).key("a", 0).u8(1).key("a", 0).u8(2), "key occurs twice"),
        raw("control characters in a key", one().key("a\x1b[2J", 0).u8(1), "characters that metadata keys do"),
        raw("alignment 0", one().key(ALIGNMENT, 4).u32(0), "general.alignment"),
        raw("alignment 24", one().key(ALIGNMENT, 4).u32(24), "general.alignment"),
        raw("alignment 2^63", one().key(ALIGNMENT, 10).u64(1 << 63), "general.alignment"),
        raw("alignment as text", one().key(ALIGNMENT, 8).text(b"32"), "general.alignment"),
        raw("alignment -32", one().key(ALIGNMENT, 5).u32(0xffff_ffe0), "general.alignment"),
        raw("a text longer than any header", one().key("a", 8).text(&long), "header is too long"),
    ]
}

fn arrays() -> Vec<Case> {
    let array = |kind: u32, count: u64| Raw::new(0, 1).key("a", 9).u32(kind).u64(count);
    let mut nested = Raw::new(0, 1).key("a", 9);
    for _ in 0..100_000 {
        nested = nested.u32(9).u64(1);
    }
    let many_texts = (0..3 << 19).fold(Raw::new(0, 2).key("a", 9).u32(8).u64(3 << 19), |raw, _| raw.text(b"abcdef"));
    let many_empty = (0..1_000_000).fold(array(9, 1_000_000), |raw, _| raw.u32(0).u64(0));
    vec![
        raw("array of 2^64 - 1 bytes", array(0, u64::MAX).u64(0), "too many values"),
        raw("array of 2^61 words", array(10, 1 << 61).u64(0), "too many values"),
        raw("array of 2^20 texts in no bytes", array(8, 1 << 20).u64(0), "runs past the end"),
        raw("array longer than the file by one", array(0, 9).u64(0), "runs past the end"),
        raw("array of unknown type", array(77, 1).u64(0), "unknown type of array"),
        raw("array of texts, one cut", array(8, 2).text(b"a").u64(5).u32(0), "runs past the end"),
        raw("array of booleans, one 255", array(7, 2).u8(1).u8(255), "neither true nor false"),
        raw("arrays in arrays, 100 000 deep", nested, "nested too deep"),
        raw("two million bytes as values", array(0, 2 << 20).bytes(&vec![0; 2 << 20]), "too many values"),
        // Well-formed but for its end: what it takes is what a vocabulary of the largest size allowed takes.
        raw("one and a half million texts, then nothing", many_texts, "runs past the end"),
        raw(
            "a million empty arrays, then nothing",
            Raw(many_empty.0[..many_empty.0.len() - 1].to_vec()),
            "runs past the end",
        ),
    ]
}

fn tensors() -> Vec<Case> {
    let one = || Raw::new(1, 0);
    let of = |dims: &[u64], kind: u32| one().tensor("a", dims, kind, 0);
    vec![
        with_data("2^32 - 1 dimensions", one().text(b"a").u32(u32::MAX), "out of bounds"),
        with_data("9 dimensions", of(&[1; 9], 0), "out of bounds"),
        with_data("elements overflow (GGUF)", of(&[1 << 32, 1 << 32, 2], 0), "does not fit its type"),
        with_data("bytes overflow (GGUF)", of(&[1 << 40, 1 << 22], 28), "does not fit its type"),
        with_data("2^60 elements (GGUF)", of(&[1 << 30, 1 << 30], 0), "runs past the end"),
        with_data("2^60 elements of blocks", of(&[1 << 30, 1 << 30], 12), "runs past the end"),
        with_data("2^60 rows of nothing (GGUF)", of(&[0, 1 << 60], 0), "out of bounds"),
        with_data("dimension of 2^64 - 1", of(&[u64::MAX], 0), "out of bounds"),
        with_data("withdrawn type 4", of(&[32], 4), "unknown tensor type"),
        with_data("type 9, never in files", of(&[32], 9), "unknown tensor type"),
        with_data("type 9999", of(&[32], 9999), "unknown tensor type"),
        with_data("type 2^32 - 1", of(&[32], u32::MAX), "unknown tensor type"),
        with_data("row of 31 in blocks of 32", of(&[31, 32], 2), "does not fit its type"),
        with_data("row of 288 in blocks of 256", of(&[288, 8], 12), "does not fit its type"),
        with_data("name not UTF-8 (GGUF)", one().text(b"\xff").u32(1).u64(1).u32(0).u64(0), "not UTF-8"),
        with_data("name length 2^64 - 1", one().u64(u64::MAX).bytes(&[0; 24]), "runs past the end"),
        with_data(
            "escape sequence in a name (GGUF)",
            one().tensor("\x1b[2J", &[1], 0, 0),
            "characters that tensor names",
        ),
        with_data("script in a name (GGUF)", one().tensor("<script>", &[1], 0, 0), "characters that tensor names"),
        with_data("empty name (GGUF)", one().tensor("", &[1], 0, 0), "tensor name is empty"),
        with_data("long name (GGUF)", one().tensor(&"a".repeat(9999), &[1], 0, 0), "name is too long"),
    ]
}

fn offsets() -> Vec<Case> {
    let two = |a: u64, b: u64| Raw::new(2, 0).tensor("a", &[8], 0, a).tensor("b", &[8], 0, b);
    let cut = |missing: usize| {
        let bytes = two(0, 32).data(64);
        bytes[..bytes.len() - missing].to_vec()
    };
    vec![
        with_data(
            "one tensor twice",
            Raw::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32),
            "two tensors have the same name",
        ),
        with_data("offset not aligned", two(0, 33), "not aligned"),
        with_data("same bytes twice (GGUF)", two(0, 0), "overlap"),
        with_data("overlap by one block", Raw::new(2, 0).tensor("a", &[16], 0, 0).tensor("b", &[8], 0, 32), "overlap"),
        with_data("gap between (GGUF)", two(0, 96), "runs past the end"),
        file("gap between, inside the file", "model.gguf", two(0, 64).data(96), "belong to no tensor"),
        file("gap at the start (GGUF)", "model.gguf", two(32, 64).data(96), "belong to no tensor"),
        with_data("offset at the end of u64", two(0, u64::MAX - 31), "out of bounds"),
        with_data("offset of 2^63", two(0, 1 << 63), "runs past the end"),
        file("last byte missing", "model.gguf", cut(1), "runs past the end"),
        file("last tensor missing", "model.gguf", cut(32), "runs past the end"),
        file("all data missing", "model.gguf", cut(64), "runs past the end"),
    ]
}

fn split_part(no: u16, count: u16, name: &str) -> Vec<u8> {
    let entry = |raw: Raw, key: &str, n: u16| raw.key(key, 2).bytes(&n.to_le_bytes());
    let head = entry(entry(Raw::new(1, 2), "split.no", no), "split.count", count);
    head.tensor(name, &[8], 0, 0).data(32)
}

fn splits() -> Vec<Case> {
    const ONE: &str = "m-00001-of-00002.gguf";
    const TWO: &str = "m-00002-of-00002.gguf";
    let pair = |name, first: Vec<u8>, second: Vec<u8>, says| {
        let make = move |dir: &std::path::Path| {
            std::fs::write(dir.join(ONE), &first).unwrap();
            std::fs::write(dir.join(TWO), &second).unwrap();
            dir.join(ONE)
        };
        place(name, make, says)
    };
    vec![
        file("a part alone", ONE, split_part(0, 2, "a"), "cut into 2 parts"),
        file("a part under another name", "m.gguf", split_part(0, 2, "a"), "one part of a split"),
        file("65 535 parts", ONE, split_part(0, 65_535, "a"), "one part of a split"),
        pair("the same part twice", split_part(0, 2, "a"), split_part(0, 2, "b"), "do not belong together"),
        pair("parts of different counts", split_part(0, 2, "a"), split_part(1, 3, "b"), "do not belong together"),
        pair("one tensor in two parts", split_part(0, 2, "a"), split_part(1, 2, "a"), "two files hold"),
        pair("a part that is empty", split_part(0, 2, "a"), vec![], "the file is empty"),
    ]
}
