//! Typed parameters: names with values of one of seven types (`remote_typed_param`).

use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// A name with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedParam {
    /// The name. libvirt's own are at most 79 bytes long (`VIR_TYPED_PARAM_FIELD_LENGTH`).
    pub field: String,
    /// The value.
    pub value: TypedValue,
}

impl TypedParam {
    /// Each takes at least this many bytes: an empty name, a type, a value of four bytes.
    pub(crate) const SIZE_MIN: usize = 12;

    /// A parameter.
    pub fn new(field: &str, value: TypedValue) -> TypedParam {
        TypedParam {
            field: field.to_owned(),
            value,
        }
    }
}

/// A value and its type, in the order of the types' numbers (`virTypedParameterType`).
#[derive(Clone, Debug, PartialEq)]
pub enum TypedValue {
    /// `VIR_TYPED_PARAM_INT`.
    Int(i32),
    /// `VIR_TYPED_PARAM_UINT`.
    Uint(u32),
    /// `VIR_TYPED_PARAM_LLONG`.
    Llong(i64),
    /// `VIR_TYPED_PARAM_ULLONG`.
    Ullong(u64),
    /// `VIR_TYPED_PARAM_DOUBLE`.
    Double(f64),
    /// `VIR_TYPED_PARAM_BOOLEAN`.
    Boolean(bool),
    /// `VIR_TYPED_PARAM_STRING`.
    String(String),
}

impl Payload for TypedParam {
    fn encode_to(&self, writer: &mut Writer) {
        writer.string(&self.field);
        self.value.encode_to(writer);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TypedParam {
            field: reader.string("field")?,
            value: TypedValue::decode_from(reader)?,
        })
    }
}

impl Payload for TypedValue {
    fn encode_to(&self, writer: &mut Writer) {
        match self {
            TypedValue::Int(value) => {
                writer.i32(1);
                writer.i32(*value);
            }
            TypedValue::Uint(value) => {
                writer.i32(2);
                writer.u32(*value);
            }
            TypedValue::Llong(value) => {
                writer.i32(3);
                writer.i64(*value);
            }
            TypedValue::Ullong(value) => {
                writer.i32(4);
                writer.u64(*value);
            }
            TypedValue::Double(value) => {
                writer.i32(5);
                writer.f64(*value);
            }
            TypedValue::Boolean(value) => {
                writer.i32(6);
                writer.int_bool(*value);
            }
            TypedValue::String(value) => {
                writer.i32(7);
                writer.string(value);
            }
        }
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.i32("type")? {
            1 => TypedValue::Int(reader.i32("value")?),
            2 => TypedValue::Uint(reader.u32("value")?),
            3 => TypedValue::Llong(reader.i64("value")?),
            4 => TypedValue::Ullong(reader.u64("value")?),
            5 => TypedValue::Double(reader.f64("value")?),
            6 => TypedValue::Boolean(reader.int_bool("value")?),
            7 => TypedValue::String(reader.string("value")?),
            other => {
                return Err(DecodeError::BadValue {
                    field: "type",
                    value: other.into(),
                });
            }
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::round_trip;
    use proptest::prelude::*;

    pub(crate) fn typed_params() -> impl Strategy<Value = TypedParam> {
        let value = prop_oneof![
            any::<i32>().prop_map(TypedValue::Int),
            any::<u32>().prop_map(TypedValue::Uint),
            any::<i64>().prop_map(TypedValue::Llong),
            any::<u64>().prop_map(TypedValue::Ullong),
            any::<f64>().prop_map(TypedValue::Double),
            any::<bool>().prop_map(TypedValue::Boolean),
            "[^\0]{0,20}".prop_map(TypedValue::String),
        ];
        ("[^\0]{0,20}", value).prop_map(|(field, value)| TypedParam { field, value })
    }

    #[test]
    fn a_type_that_does_not_exist_is_refused() {
        for number in [0u8, 8] {
            let refused = TypedValue::decode(&[0, 0, 0, number, 0, 0, 0, 0]);
            let bad = DecodeError::BadValue {
                field: "type",
                value: number.into(),
            };
            assert_eq!(refused, Err(bad));
        }
    }

    proptest! {
        #[test]
        fn parameters_survive_the_wire(param in typed_params()) {
            round_trip(&param);
        }
    }
}
