//! The syntax of libvirt's configuration files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use virt_conf::{Value, parse};

fuzz_target!(|text: &str| {
    let lines = text.matches('\n').count() + 1;
    match parse(text) {
        Ok(settings) => {
            let mut before = 1;
            for setting in settings {
                assert!((before..=lines).contains(&setting.line));
                before = setting.line;
                if let Value::List(elements) = setting.value {
                    assert!(elements.iter().all(|element| element.line <= lines));
                }
            }
        }
        Err(error) => assert!((1..=lines).contains(&error.line)),
    }
});
