use proptest::prelude::*;

use super::*;

fn number(number: i64) -> Value<'static> {
    Value::One(Scalar::Number(number))
}

fn text(text: &str) -> Value<'_> {
    Value::One(Scalar::Text(text))
}

/// The only setting of a file.
fn only(file: &str) -> Value<'_> {
    let mut settings = parse(file).unwrap();
    assert_eq!(settings.len(), 1, "{file}");
    settings.remove(0).value
}

fn problem(file: &str) -> (usize, Problem) {
    let error = parse(file).unwrap_err();
    (error.line, error.problem)
}

#[test]
fn each_setting_keeps_its_line_and_comments_are_nothing() {
    let file = "# first\n\n  a = 1\t# one\r\n\r\n  #b = 2\nc=\"x\" # x\n";
    let settings: Vec<_> = parse(file).unwrap();
    let expected = [("a", 3, number(1)), ("c", 6, text("x"))];
    let found = settings.into_iter().map(|s| (s.key, s.line, s.value));
    assert!(found.eq(expected));
    assert_eq!(parse(""), Ok(Vec::new()));
    assert_eq!(parse(" \n\t\n# nothing"), Ok(Vec::new()));
}

#[test]
fn a_semicolon_separates_settings_too() {
    let settings = parse("a = 1; b = 2 ;\nc = 3;").unwrap();
    let lines: Vec<_> = settings.iter().map(|s| (s.key, s.line)).collect();
    assert_eq!(lines, [("a", 1), ("b", 1), ("c", 2)]);
    assert_eq!(problem("a = 1;; b = 2"), (1, Problem::Name));
}

#[test]
fn numbers_have_a_sign_or_none() {
    for (written, expected) in [("7", 7), ("+7", 7), ("-7", -7), ("007", 7), ("-0", 0)] {
        assert_eq!(only(&format!("n = {written}")), number(expected));
    }
    let least = i64::MIN.to_string();
    assert_eq!(only(&format!("n={least}")), number(i64::MIN));
    assert_eq!(problem("n = -"), (1, Problem::Digits));
    assert_eq!(problem("n = 9223372036854775808"), (1, Problem::Range));
    assert_eq!(problem("n = 12ab"), (1, Problem::Separator));
    assert_eq!(problem("n = 1.5"), (1, Problem::Separator));
}

#[test]
fn a_string_is_what_stands_between_its_quotes() {
    assert_eq!(
        only("s = \"it's # no; comment\\\""),
        text("it's # no; comment\\")
    );
    assert_eq!(only("s = 'say \"so\"'"), text("say \"so\""));
    assert_eq!(only("s = \"\""), text(""));
    assert_eq!(only("s = \"Zürich\""), text("Zürich"));
    assert_eq!(
        only("s = \"\"\"two\n\"lines\"\nand\"\"\""),
        text("two\n\"lines\"\nand")
    );
    assert_eq!(only("s = \"\"\"\"\"\""), text(""));
    assert_eq!(
        problem("\ns = \"open\nt = \"x\""),
        (2, Problem::OpenString('"'))
    );
    assert_eq!(problem("s = 'open"), (1, Problem::OpenString('\'')));
    assert_eq!(problem("s = \"\"\"open\n\n"), (1, Problem::OpenText));
    assert_eq!(problem("s = \"a\0b\""), (1, Problem::Zero));
}

#[test]
fn lines_within_a_string_are_counted() {
    let settings = parse("s = \"\"\"\n\n\"\"\"\nt = 1").unwrap();
    assert_eq!(settings.last().map(|s| s.line), Some(4));
}

#[test]
fn a_list_goes_over_lines_and_may_end_with_a_comma() {
    let element = |line, value| Element { line, value };
    let file = "l = [ \"a\",\n\t'b'\n, 3,\n]\nm = []";
    let settings = parse(file).unwrap();
    let elements = vec![
        element(1, Scalar::Text("a")),
        element(2, Scalar::Text("b")),
        element(3, Scalar::Number(3)),
    ];
    assert_eq!(settings[0].value, Value::List(elements));
    assert_eq!(settings[1].line, 5);
    assert_eq!(settings[1].value, Value::List(Vec::new()));
}

#[test]
fn what_is_wrong_with_a_list_is_told_at_its_line() {
    assert_eq!(problem("\nl = [ \"a\",\n\n"), (2, Problem::OpenList));
    assert_eq!(problem("l = ["), (1, Problem::OpenList));
    assert_eq!(problem("l = [ \"a\"\n\"b\" ]"), (2, Problem::Comma));
    assert_eq!(problem("l = [ , ]"), (1, Problem::Value));
    assert_eq!(problem("l = [ 1,\n[ 2 ] ]"), (2, Problem::Nested));
    assert_eq!(problem("l = [ 1,\n# two\n2 ]"), (2, Problem::CommentInList));
    assert_eq!(problem("l = [ 1 # one\n]"), (1, Problem::CommentInList));
    assert_eq!(problem("l = [ 1 ] 2"), (1, Problem::Separator));
}

#[test]
fn what_is_wrong_with_a_setting_is_told_at_its_line() {
    assert_eq!(problem("a = 1\n= 2"), (2, Problem::Name));
    assert_eq!(problem("[section]"), (1, Problem::Name));
    assert_eq!(problem("_a = 1"), (1, Problem::Name));
    assert_eq!(problem("a 1"), (1, Problem::Assignment));
    assert_eq!(problem("a.b = 1"), (1, Problem::Assignment));
    assert_eq!(problem("a =\n1"), (1, Problem::Value));
    assert_eq!(problem("a = yes"), (1, Problem::Value));
    assert_eq!(problem("a = 1 b = 2"), (1, Problem::Separator));
    let error = parse("a = yes").unwrap_err();
    let expected = "line 1: expected a number, a string in quotes, or a list in brackets";
    assert_eq!(error.to_string(), expected);
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "[^\"\n\r\0]{0,12}".prop_map(|content| format!("\"{content}\"")),
        "[^'\n\r\0]{0,12}".prop_map(|content| format!("'{content}'")),
        "[^\"\0]{0,12}".prop_map(|content| format!("\"\"\"{content}\"\"\"")),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_text_of_the_usual_characters_makes_it_panic(text in "[a1=\"'#;,\\[\\]+ \n\r\t-]{0,60}") {
        if let Ok(settings) = parse(&text) {
            let lines = text.matches('\n').count() + 1;
            prop_assert!(settings.iter().all(|setting| (1..=lines).contains(&setting.line)));
        }
    }

    #[test]
    fn a_list_has_its_elements_in_their_order(
        elements in prop::collection::vec(scalar(), 0..6),
        between in "[ \t\n\r]{0,3}",
    ) {
        let list = format!("l = [{between}{}{between}]", elements.join(&format!("{between},{between}")));
        let Value::List(found) = only(&list) else { panic!("no list") };
        let alone = elements.iter().map(|element| only_scalar(element));
        prop_assert!(found.iter().map(|element| own(element.value)).eq(alone));
    }
}

/// A value on its own, as debugging text, which does not borrow.
fn only_scalar(element: &str) -> String {
    match only(&format!("x = {element}")) {
        Value::One(scalar) => own(scalar),
        Value::List(_) => panic!("a list"),
    }
}

fn own(scalar: Scalar<'_>) -> String {
    format!("{scalar:?}")
}
