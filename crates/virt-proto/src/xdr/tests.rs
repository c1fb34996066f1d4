//! Tests of the encoding.

use proptest::prelude::*;

use super::*;

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    write(&mut writer);
    writer.into_bytes()
}

#[test]
fn a_string_is_padded_with_zeros_and_any_padding_is_taken() {
    // The example of RFC 4506, section 7: the file name "sillyprog".
    let bytes = written(|writer| writer.string("sillyprog"));
    assert_eq!(bytes, b"\x00\x00\x00\x09sillyprog\x00\x00\x00");
    let other = b"\x00\x00\x00\x09sillyprog\x01\x02\x03";
    assert_eq!(Reader::new(other).string("name"), Ok("sillyprog".into()));
}

#[test]
fn a_string_without_its_padding_is_cut() {
    let cut = Reader::new(b"\x00\x00\x00\x05test:\x00\x00").string("name");
    assert_eq!(
        cut,
        Err(DecodeError::TooShort {
            field: "name",
            needed: 8,
            available: 7
        })
    );
}

#[test]
fn a_string_with_a_nul_is_refused() {
    let bytes = written(|writer| writer.string("qemu:///system\0x"));
    assert_eq!(
        Reader::new(&bytes).string("name"),
        Err(DecodeError::Nul("name"))
    );
}

#[test]
fn a_string_that_is_not_utf_8_is_refused_unless_it_is_only_shown() {
    let bytes = written(|writer| writer.opaque(b"Dom\xe4ne"));
    assert_eq!(
        Reader::new(&bytes).string("name"),
        Err(DecodeError::NotText("name"))
    );
    assert_eq!(
        Reader::new(&bytes).message("message"),
        Ok("Dom\u{fffd}ne".into())
    );
}

#[test]
fn a_length_is_judged_by_the_limit_and_by_the_bytes_that_are_left() {
    let bytes = [0, 0, 0, 3, 1, 2, 3, 4];
    assert_eq!(
        Reader::new(&bytes).len(2, 1, "types"),
        Err(DecodeError::TooLong {
            field: "types",
            len: 3,
            limit: 2
        })
    );
    assert_eq!(
        Reader::new(&bytes).len(3, 4, "types"),
        Err(DecodeError::TooShort {
            field: "types",
            needed: 12,
            available: 4
        })
    );
    assert_eq!(Reader::new(&bytes).len(3, 1, "types"), Ok(3));
}

#[test]
fn optional_data_is_there_or_not() {
    let read = |bytes: &[u8]| Reader::new(bytes).optional("dom", |reader| reader.u32("id"));
    assert_eq!(read(&[0, 0, 0, 0]), Ok(None));
    assert_eq!(read(&[0, 0, 0, 1, 0, 0, 0, 9]), Ok(Some(9)));
    assert_eq!(
        read(&[0, 0, 0, 2, 0, 0, 0, 9]),
        Err(DecodeError::BadValue {
            field: "dom",
            value: 2
        })
    );
}

#[test]
fn characters_take_four_bytes_with_either_sign() {
    let bytes = written(|writer| writer.chars(b"r\xfc"));
    assert_eq!(bytes, [0, 0, 0, 2, 0, 0, 0, b'r', 0xff, 0xff, 0xff, 0xfc]);
    let unsigned = [0, 0, 0, 2, 0, 0, 0, b'r', 0, 0, 0, 0xfc];
    for bytes in [&bytes[..], &unsigned] {
        assert_eq!(Reader::new(bytes).chars(9, "data"), Ok(b"r\xfc".to_vec()));
    }
}

#[test]
fn bytes_that_are_left_are_told() {
    assert_eq!(<()>::decode(&[0; 4]), Err(DecodeError::Trailing(4)));
}

proptest! {
    #[test]
    fn values_survive_the_wire(
        signed: i64, unsigned: u64, int: i32, uint: u32, double: f64,
        text in "[^\0]{0,40}", data: Vec<u8>, yes: bool,
    ) {
        let bytes = written(|writer| {
            writer.i64(signed);
            writer.u64(unsigned);
            writer.i32(int);
            writer.u32(uint);
            writer.f64(double);
            writer.string(&text);
            writer.opaque(&data);
            writer.chars(&data);
            writer.int_bool(yes);
        });
        prop_assert_eq!(bytes.len() % 4, 0);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.i64(""), Ok(signed));
        prop_assert_eq!(reader.u64(""), Ok(unsigned));
        prop_assert_eq!(reader.i32(""), Ok(int));
        prop_assert_eq!(reader.u32(""), Ok(uint));
        prop_assert_eq!(reader.f64("").map(f64::to_bits), Ok(double.to_bits()));
        prop_assert_eq!(reader.string(""), Ok(text));
        prop_assert_eq!(reader.opaque(data.len(), ""), Ok(&data[..]));
        prop_assert_eq!(reader.chars(data.len(), ""), Ok(data));
        prop_assert_eq!(reader.int_bool(""), Ok(yes));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), limit: usize) {
        let _ = Reader::new(&bytes).string("");
        let _ = Reader::new(&bytes).opaque(limit, "");
        let _ = Reader::new(&bytes).chars(limit, "");
        let _ = Reader::new(&bytes).optional("", |reader| reader.message(""));
    }
}
