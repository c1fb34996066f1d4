//! The values inside a result: for each metric a status, numbers in place, or blocks.
//!
//! A block stands at the end of the PDU and its value says where, in 32-bit words from the start of
//! the PDU. libpcp writes blocks in the order of their values, without gaps, and only that is
//! accepted: otherwise a small PDU could point many values at one large block.

use crate::codec::{DecodeError, Reader, Writer, padding};
use crate::{Instance, PmId, Status, ValueType};

/// The values of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSet {
    /// The metric.
    pub pmid: PmId,
    /// Its values.
    pub values: Values,
}

/// Values with their instances, which are [`Instance::NULL`] for a metric without an instance
/// domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// None: because there are none now (status 0), or for the reason that the status tells.
    Missing(Status),
    /// 32-bit numbers, of the type that the metric's descriptor tells; at least one.
    InSitu(Vec<(Instance, u32)>),
    /// Anything else; at least one.
    Blocks(Vec<(Instance, ValueBlock)>),
}

impl Values {
    /// The values as numbers, for a metric of type `value_type`; those that are none are left out.
    pub fn numbers(&self, value_type: ValueType) -> Vec<(Instance, f64)> {
        match self {
            Values::Missing(_) => Vec::new(),
            Values::InSitu(values) => values
                .iter()
                .map(|&(instance, word)| (instance, in_situ_number(value_type, word)))
                .collect(),
            Values::Blocks(values) => values
                .iter()
                .filter_map(|(instance, block)| Some((*instance, block.number()?)))
                .collect(),
        }
    }

    /// The first value, if it is a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Values::Blocks(values) => values.first().and_then(|(_, block)| block.text()),
            Values::Missing(_) | Values::InSitu(_) => None,
        }
    }
}

fn in_situ_number(value_type: ValueType, word: u32) -> f64 {
    if value_type == ValueType::I32 {
        f64::from(word.cast_signed())
    } else {
        f64::from(word)
    }
}

/// A value with its type (`pmValueBlock`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueBlock {
    value_type: u8,
    bytes: Box<[u8]>,
}

impl ValueBlock {
    /// Type and length on the wire, in bytes.
    const HEAD: usize = 4;

    /// The longest value, in bytes: the length field has 24 bits and counts the head.
    pub const MAX: usize = 0x00ff_ffff - ValueBlock::HEAD;

    /// A value of any type, as its bytes on the wire; `None` when they are more than
    /// [`ValueBlock::MAX`], or the type has no room in the eight bits of a block.
    pub fn new(value_type: ValueType, bytes: impl Into<Box<[u8]>>) -> Option<ValueBlock> {
        let (value_type, bytes) = (u8::try_from(value_type.0).ok()?, bytes.into());
        (bytes.len() <= ValueBlock::MAX).then_some(ValueBlock { value_type, bytes })
    }

    /// A text; `None` when it is too long.
    pub fn string(text: &str) -> Option<ValueBlock> {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        ValueBlock::new(ValueType::STRING, bytes)
    }

    /// A 64-bit unsigned integer.
    pub fn u64(value: u64) -> ValueBlock {
        ValueBlock {
            value_type: 3,
            bytes: Box::new(value.to_be_bytes()),
        }
    }

    /// A 32-bit floating point number.
    pub fn float(value: f32) -> ValueBlock {
        ValueBlock {
            value_type: 4,
            bytes: Box::new(value.to_be_bytes()),
        }
    }

    /// A 64-bit floating point number.
    pub fn double(value: f64) -> ValueBlock {
        ValueBlock {
            value_type: 5,
            bytes: Box::new(value.to_be_bytes()),
        }
    }

    /// The type.
    pub fn value_type(&self) -> ValueType {
        ValueType(self.value_type.into())
    }

    /// The value as it stands on the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes that the block takes on the wire, padding included.
    pub fn wire_size(&self) -> usize {
        ValueBlock::HEAD + self.bytes.len() + padding(self.bytes.len())
    }

    /// The value as a number, rounded where it has more digits than `f64`; `None` for other types
    /// or a wrong length.
    pub fn number(&self) -> Option<f64> {
        let word = || self.bytes.first_chunk().copied();
        let long = || self.bytes.first_chunk().copied();
        #[expect(clippy::cast_precision_loss, reason = "documented")]
        match self.value_type() {
            ValueType::I32 => word().map(|bytes| i32::from_be_bytes(bytes).into()),
            ValueType::U32 => word().map(|bytes| u32::from_be_bytes(bytes).into()),
            ValueType::I64 => long().map(|bytes| i64::from_be_bytes(bytes) as f64),
            ValueType::U64 => long().map(|bytes| u64::from_be_bytes(bytes) as f64),
            ValueType::FLOAT => word().map(|bytes| f32::from_be_bytes(bytes).into()),
            ValueType::DOUBLE => long().map(f64::from_be_bytes),
            _ => None,
        }
    }

    /// The value as a text, up to its NUL byte; `None` for other types and when it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        if self.value_type() != ValueType::STRING {
            return None;
        }
        let end = self
            .bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(self.bytes.len());
        std::str::from_utf8(&self.bytes[..end]).ok()
    }

    fn write(&self, body: &mut Writer) {
        let len = u32::try_from(self.bytes.len() + ValueBlock::HEAD).unwrap_or(u32::MAX);
        body.u32(u32::from(self.value_type) << 24 | len & 0x00ff_ffff);
        body.bytes(&self.bytes);
        body.padding(self.bytes.len());
    }

    fn read(body: &mut Reader<'_>) -> Result<ValueBlock, DecodeError> {
        let [value_type, len @ ..] = body.u32("head of a value block")?.to_be_bytes();
        let len = u32::from_be_bytes([0, len[0], len[1], len[2]]);
        let bytes = (len as usize)
            .checked_sub(ValueBlock::HEAD)
            .ok_or(DecodeError::BadValue {
                field: "length of a value block",
                value: len.into(),
            })?;
        let bytes = body.bytes(bytes, "value block")?;
        body.padding(bytes.len())?;
        Ok(ValueBlock {
            value_type,
            bytes: bytes.into(),
        })
    }
}

/// How the values of a metric are held (`PM_VAL_*`).
const INSITU: i32 = 0;
const DPTR: i32 = 1;
const SPTR: i32 = 2;

/// Writes all metrics of a result, and then their blocks.
pub(crate) fn write_sets(sets: &[ValueSet], body: &mut Writer) {
    let mut block_at = body.position() + sets.iter().map(head_size).sum::<usize>();
    for set in sets {
        body.u32(set.pmid.0);
        match &set.values {
            Values::Missing(status) => body.i32(status.0.min(0)),
            Values::InSitu(values) => {
                write_count(values.len(), INSITU, body);
                for &(instance, word) in values {
                    body.u32(instance.0);
                    body.u32(word);
                }
            }
            Values::Blocks(values) => {
                write_count(values.len(), DPTR, body);
                for (instance, block) in values {
                    body.u32(instance.0);
                    body.count(block_at / 4);
                    block_at += block.wire_size();
                }
            }
        }
    }
    for set in sets {
        if let Values::Blocks(values) = &set.values {
            values.iter().for_each(|(_, block)| block.write(body));
        }
    }
}

/// The number of values, and when there are any, how they are held.
fn write_count(count: usize, format: i32, body: &mut Writer) {
    body.count(count);
    if count > 0 {
        body.i32(format);
    }
}

fn head_size(set: &ValueSet) -> usize {
    let count = match &set.values {
        Values::Missing(_) => 0,
        Values::InSitu(values) => values.len(),
        Values::Blocks(values) => values.len(),
    };
    if count == 0 { 8 } else { 12 + 8 * count }
}

/// What stands before the blocks for one metric.
enum Head {
    Missing(Status),
    Values {
        in_situ: bool,
        words: Vec<(Instance, u32)>,
    },
}

/// Reads `count` metrics and their blocks.
pub(crate) fn read_sets(count: usize, body: &mut Reader<'_>) -> Result<Vec<ValueSet>, DecodeError> {
    let mut heads = Vec::with_capacity(count);
    for _ in 0..count {
        heads.push((PmId(body.u32("metric identifier")?), read_head(body)?));
    }
    let mut sets = Vec::with_capacity(count);
    for (pmid, head) in heads {
        let values = match head {
            Head::Missing(status) => Values::Missing(status),
            Head::Values {
                in_situ: true,
                words,
            } => Values::InSitu(words),
            Head::Values {
                in_situ: false,
                words,
            } => Values::Blocks(read_blocks(words, body)?),
        };
        sets.push(ValueSet { pmid, values });
    }
    Ok(sets)
}

fn read_head(body: &mut Reader<'_>) -> Result<Head, DecodeError> {
    let count = body.i32("number of values")?;
    if count <= 0 {
        return Ok(Head::Missing(Status(count)));
    }
    let in_situ = match body.i32("format of values")? {
        INSITU => true,
        DPTR | SPTR => false,
        other => {
            let field = "format of values";
            return Err(DecodeError::BadValue {
                field,
                value: other.into(),
            });
        }
    };
    let count = body.holds(count, 8, "number of values")?;
    let words = (0..count)
        .map(|_| Ok((Instance(body.u32("instance")?), body.u32("value")?)))
        .collect::<Result<_, DecodeError>>()?;
    Ok(Head::Values { in_situ, words })
}

fn read_blocks(
    words: Vec<(Instance, u32)>,
    body: &mut Reader<'_>,
) -> Result<Vec<(Instance, ValueBlock)>, DecodeError> {
    words
        .into_iter()
        .map(|(instance, word)| {
            if word as usize != body.position() / 4 {
                let field = "position of a value block";
                return Err(DecodeError::BadValue {
                    field,
                    value: word.into(),
                });
            }
            Ok((instance, ValueBlock::read(body)?))
        })
        .collect()
}
