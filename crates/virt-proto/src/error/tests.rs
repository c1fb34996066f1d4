//! Tests of the errors: those recorded from libvirtd 9.0, then the wire in general.

use proptest::prelude::*;

use super::*;
use crate::testing::{recorded, round_trip};

#[test]
fn an_unknown_procedure_is_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "0000008820008086000000010000270f000000010000000800000001000000270000000700000001
             00000017756e6b6e6f776e2070726f6365647572653a203939393900000000020000000000000001
             00000002257300000000000100000017756e6b6e6f776e2070726f6365647572653a203939393900
             00000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::unknown_procedure(Procedure(9999)));
}

#[test]
fn an_unknown_program_is_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "000000a8123456780000000100000001000000010000000900000001000000270000000700000001
             0000002743616e6e6f742066696e642070726f6772616d203330353431393839362076657273696f
             6e2031000000000200000000000000010000000225730000000000010000002743616e6e6f742066
             696e642070726f6772616d203330353431393839362076657273696f6e20310000000000ffffffff
             ffffffff00000000",
    );
    assert_eq!(error, RemoteError::unknown_program(Program(0x1234_5678), 1));
}

#[test]
fn a_call_that_needs_authentication_is_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "00000088200080860000000100000004000000010000000100000001000000270000000700000001
             0000001761757468656e7469636174696f6e20726571756972656400000000020000000000000001
             0000000225730000000000010000001761757468656e7469636174696f6e20726571756972656400
             00000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::auth_required());
}

#[test]
fn a_failed_authentication_is_told_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "000000b4200080860000000100000043000000010000000a000000010000002d0000000700000001
             0000002c61757468656e7469636174696f6e206661696c65643a2061757468656e7469636174696f
             6e206661696c65640000000200000000000000010000001961757468656e7469636174696f6e2066
             61696c65643a202573000000000000010000001561757468656e7469636174696f6e206661696c65
             6400000000000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::auth_failed());
}

#[test]
fn a_call_before_the_opening_is_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "000000b8200080860000000100000004000000010000000700000001000000010000000700000001
             0000002e696e7465726e616c206572726f723a2068797065727669736f7220636f6e6e656374696f
             6e206e6f74206f70656e000000000002000000000000000100000012696e7465726e616c20657272
             6f723a2025730000000000010000001e68797065727669736f7220636f6e6e656374696f6e206e6f
             74206f70656e000000000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::not_open());
}

#[test]
fn a_uri_without_a_driver_is_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "000000c4200080860000000100000001000000010000000200000001000000050000000000000001
             000000346e6f20636f6e6e656374696f6e2064726976657220617661696c61626c6520666f72206e
             6f737563683a2f2f2f64656661756c74000000020000000000000001000000256e6f20636f6e6e65
             6374696f6e2064726976657220617661696c61626c6520666f722025730000000000000100000011
             6e6f737563683a2f2f2f64656661756c7400000000000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::no_driver("nosuch:///default"));
}

#[test]
fn a_call_with_a_status_is_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "00000090200080860000000100000004000000010000001000000001000000270000000700000001
             0000001b556e6578706563746564206d657373616765207374617475732031000000000200000000
             000000010000000225730000000000010000001b556e6578706563746564206d6573736167652073
             746174757320310000000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::unexpected_status(Status::ERROR));
}

#[test]
fn arguments_without_sense_are_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "000000982000808600000001000001a3000000010000001000000001000000270000000700000001
             00000020556e61626c6520746f206465636f6465206d657373616765207061796c6f616400000002
             000000000000000100000002257300000000000100000020556e61626c6520746f206465636f6465
             206d657373616765207061796c6f616400000000ffffffffffffffff00000000",
    );
    assert_eq!(error, RemoteError::undecodable());
}

#[test]
fn the_error_of_a_driver_is_understood() {
    // From the test driver, to a look-up of a name that it does not know.
    let error: RemoteError = recorded(
        "000000702000808600000001000000170000000100000006000000010000002a0000000c00000001
             00000010446f6d61696e206e6f7420666f756e6400000002000000000000000100000010446f6d61
             696e206e6f7420666f756e640000000000000000ffffffffffffffff00000000",
    );
    assert_eq!(
        (error.number, error.domain),
        (ErrorNumber(42), ErrorDomain(12))
    );
    assert_eq!(error.to_string(), "Domain not found");
}

#[test]
fn an_error_without_texts_is_understood() {
    // To AUTH_POLKIT where polkit is not asked for.
    let error: RemoteError = recorded(
        "00000084200080860000000100000046000000010000000b00000001000000010000000700000001
             000000384c6962726172792066756e6374696f6e2072657475726e6564206572726f722062757420
             646964206e6f7420736574207669724572726f720000000200000000000000000000000000000000
             000000000000000000000000",
    );
    assert_eq!(*error.texts, [None, None, None]);
    assert_eq!(error.ints, [0, 0]);
}

#[test]
fn a_system_error_carries_its_errno() {
    let error = RemoteError::system(2, "Failed to connect socket to '/x': No such file");
    assert_eq!(error.ints, [2, -1]);
    assert_eq!(
        error.to_string(),
        "Failed to connect socket to '/x': No such file"
    );
}

#[test]
fn the_words_of_a_client_do_not_make_an_error_long_or_change_it() {
    let error = RemoteError::no_driver(&"%s".repeat(4096));
    let message = error.message.unwrap();
    assert_eq!(
        message.len(),
        1022 + "no connection driver available for ".len()
    );
    let cut = RemoteError::access_denied(&"\u{20ac}".repeat(400));
    assert_eq!(cut.texts[1].as_ref().map(String::len), Some(1020));
}

#[test]
fn a_message_in_another_encoding_is_shown_as_far_as_it_can_be() {
    let mut frame = Writer::default();
    frame.i32(1);
    frame.i32(7);
    frame.u32(1);
    frame.opaque(b"Dom\xe4ne");
    frame.i32(2);
    for _ in 0..4 {
        frame.u32(0);
    }
    frame.i32(-1);
    frame.i32(-1);
    frame.u32(0);
    let error = RemoteError::decode(&frame.into_bytes()).unwrap();
    assert_eq!(error.to_string(), "Dom\u{fffd}ne");
}

fn texts() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{0,20}")
}

prop_compose! {
    fn errors()(
        numbers: (i32, i32, i32),
        message in texts(),
        texts in [texts(), texts(), texts()],
        ints: [i32; 2],
        dom in prop::option::of((".{0,9}", any::<[u8; 16]>(), any::<i32>())),
        net in prop::option::of((".{0,9}", any::<[u8; 16]>())),
    ) -> RemoteError {
        let (number, domain, level) = numbers;
        RemoteError {
            number: ErrorNumber(number),
            domain: ErrorDomain(domain),
            message,
            level: ErrorLevel(level),
            dom: dom.map(|(name, uuid, id)| Box::new(DomainName { name, uuid, id })),
            texts: Box::new(texts),
            ints,
            net: net.map(|(name, uuid)| Box::new(NetworkName { name, uuid })),
        }
    }
}

proptest! {
    #[test]
    fn errors_survive_the_wire(error in errors()) {
        round_trip(&error);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        let _ = RemoteError::decode(&bytes);
    }
}
