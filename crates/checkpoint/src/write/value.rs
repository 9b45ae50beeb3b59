/// A metadata value with the exact type that GGUF stores; readers such as llama.cpp insist on it.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum GgufValue {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    U64(u64),
    I64(i64),
    F64(f64),
    /// Strings.
    Texts(Vec<String>),
    /// 32-bit signed integers.
    I32s(Vec<i32>),
    /// 32-bit unsigned integers.
    U32s(Vec<u32>),
    /// Single-precision floats.
    F32s(Vec<f32>),
    /// Booleans.
    Bools(Vec<bool>),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for GgufValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from!(
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64, bool => Bool, String => Text, &str => Text,
    Vec<String> => Texts, Vec<i32> => I32s, Vec<u32> => U32s, Vec<f32> => F32s, Vec<bool> => Bools,
);

impl GgufValue {
    pub(crate) fn type_id(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) => 8,
            Self::Texts(_) | Self::I32s(_) | Self::U32s(_) | Self::F32s(_) | Self::Bools(_) => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(x) => out.extend(x.to_le_bytes()),
            Self::I8(x) => out.extend(x.to_le_bytes()),
            Self::U16(x) => out.extend(x.to_le_bytes()),
            Self::I16(x) => out.extend(x.to_le_bytes()),
            Self::U32(x) => out.extend(x.to_le_bytes()),
            Self::I32(x) => out.extend(x.to_le_bytes()),
            Self::F32(x) => out.extend(x.to_le_bytes()),
            Self::Bool(x) => out.push((*x).into()),
            Self::Text(x) => text(out, x),
            Self::U64(x) => out.extend(x.to_le_bytes()),
            Self::I64(x) => out.extend(x.to_le_bytes()),
            Self::F64(x) => out.extend(x.to_le_bytes()),
            Self::Texts(xs) => array(out, 8, xs, |out, x| text(out, x)),
            Self::I32s(xs) => array(out, 5, xs, |out, x| out.extend(x.to_le_bytes())),
            Self::U32s(xs) => array(out, 4, xs, |out, x| out.extend(x.to_le_bytes())),
            Self::F32s(xs) => array(out, 6, xs, |out, x| out.extend(x.to_le_bytes())),
            Self::Bools(xs) => array(out, 7, xs, |out, x| out.push((*x).into())),
        }
    }
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn array<T>(out: &mut Vec<u8>, type_id: u32, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.extend(type_id.to_le_bytes());
    out.extend((items.len() as u64).to_le_bytes());
    items.iter().for_each(|item| write(out, item));
}
