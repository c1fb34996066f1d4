//! What the payloads of the admin program are made of, and the macros that make them of it.

use crate::typed_param::TypedParam;
use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// One field of a payload.
pub(super) trait Field: Sized {
    /// Writes it.
    fn put(&self, writer: &mut Writer);

    /// Reads it; `name` is its name in errors.
    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError>;
}

impl Field for u32 {
    fn put(&self, writer: &mut Writer) {
        writer.u32(*self);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        reader.u32(name)
    }
}

impl Field for u64 {
    fn put(&self, writer: &mut Writer) {
        writer.u64(*self);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        reader.u64(name)
    }
}

impl Field for i64 {
    fn put(&self, writer: &mut Writer) {
        writer.i64(*self);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        reader.i64(name)
    }
}

impl Field for String {
    fn put(&self, writer: &mut Writer) {
        writer.string(self);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        reader.string(name)
    }
}

impl Field for Option<String> {
    fn put(&self, writer: &mut Writer) {
        writer.optional(self.as_deref(), Writer::string);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        reader.optional(name, |reader| reader.string(name))
    }
}

/// Typed parameters, of which there are at most `MAX`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params<const MAX: usize>(pub Vec<TypedParam>);

impl<const MAX: usize> Field for Params<MAX> {
    fn put(&self, writer: &mut Writer) {
        writer.list(&self.0, |writer, param| param.encode_to(writer));
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        let params = reader.list(MAX, TypedParam::SIZE_MIN, name, TypedParam::decode_from)?;
        Ok(Params(params))
    }
}

/// Makes a struct and its [`Payload`]: its fields, in the order in which they stand there.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
        }

        impl $crate::xdr::Payload for $name {
            fn encode_to(&self, writer: &mut $crate::xdr::Writer) {
                $($crate::admin::field::Field::put(&self.$field, writer);)+
            }

            fn decode_from(
                reader: &mut $crate::xdr::Reader<'_>,
            ) -> Result<Self, $crate::xdr::DecodeError> {
                Ok($name {
                    $($field: $crate::admin::field::Field::get(reader, stringify!($field))?,)+
                })
            }
        }
    };
}

/// Makes a payload the arguments of a procedure.
macro_rules! call {
    ($name:ident, $procedure:ident, $reply:ty) => {
        impl $crate::Call for $name {
            const PROGRAM: $crate::Program = $crate::Program::ADMIN;
            const PROCEDURE: $crate::Procedure = $crate::admin::procedure::$procedure;
            type Reply = $reply;
        }
    };
}

/// Lets a payload stand in another one.
macro_rules! field {
    ($name:ident) => {
        impl $crate::admin::field::Field for $name {
            fn put(&self, writer: &mut $crate::xdr::Writer) {
                $crate::xdr::Payload::encode_to(self, writer);
            }

            fn get(
                reader: &mut $crate::xdr::Reader<'_>,
                _name: &'static str,
            ) -> Result<Self, $crate::xdr::DecodeError> {
                $crate::xdr::Payload::decode_from(reader)
            }
        }
    };
}

pub(super) use {call, field, payload};

/// A list in a payload, of at most [`LIST_MAX`](super::LIST_MAX).
pub(super) fn put_list<P: Payload>(list: &[P], writer: &mut Writer) {
    writer.list(list, |writer, element| element.encode_to(writer));
}

/// Reads such a list, whose elements take at least `each` bytes.
pub(super) fn get_list<P: Payload>(
    reader: &mut Reader<'_>,
    each: usize,
    name: &'static str,
) -> Result<Vec<P>, DecodeError> {
    reader.list(super::LIST_MAX, each, name, P::decode_from)
}
