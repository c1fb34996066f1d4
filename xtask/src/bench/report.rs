//! The results as aligned markdown tables.

use std::fmt::Write;

use super::figures::Figure;
use super::results::Results;
use super::suite::{Contender, Load, Work};

/// A cell without a figure.
const NONE: &str = "-";

/// All that the bench prints at its end: what the figures mean, the tables, whether what is required
/// was seen, and what is missing.
pub(super) fn render(tables: &str, verdicts: &str, missing: &[String]) -> String {
    let mut text = format!(
        "Medians over the rounds. CPU is the program's user and system time for one round trip, or for a \
         MiB of a stream. \"x NAME\" is the ratio of the first column to that of NAME, \"CPU x NAME\" that \
         of CPU, taken within each round.\n{tables}",
    );
    if !verdicts.is_empty() {
        text += &format!("\nWhat is required:\n\n{verdicts}");
    }
    if !missing.is_empty() {
        text += "\nNot measured:\n\n";
        for line in missing {
            text += &format!("- {line}\n");
        }
    }
    text
}

/// A table for each load but those of memory, which share one.
pub(super) fn tables<C: Contender, W: Work>(
    results: &Results<C>,
    loads: &[Load<W>],
    contenders: &[C],
) -> String {
    let mut text = String::new();
    let (memory, others): (Vec<Load<W>>, Vec<Load<W>>) =
        loads.iter().partition(|load| load.work.measures_memory());
    for load in others {
        let contenders = measured(results, &[load], contenders);
        let (head, rows) = load_table(results, &load, &contenders);
        text += &format!("\n### {}\n\n{}", load.title, table(&head, &rows));
    }
    let contenders = measured(results, &memory, contenders);
    if !contenders.is_empty() {
        let (head, rows) = memory_table(results, &memory, &contenders);
        text += &format!("\n### Memory\n\n{}", table(&head, &rows));
    }
    text
}

/// Those of the contenders that were put through any of the loads.
fn measured<C: Contender, W>(results: &Results<C>, loads: &[Load<W>], contenders: &[C]) -> Vec<C> {
    let was = |contender: &C| loads.iter().any(|load| results.has(load, *contender));
    contenders.iter().copied().filter(was).collect()
}

type Rows = Vec<Vec<String>>;

fn load_table<C: Contender, W: Work>(
    results: &Results<C>,
    load: &Load<W>,
    contenders: &[C],
) -> (Vec<String>, Rows) {
    let figures = load.work.figures();
    let ratios = ratios(figures, contenders);
    let mut head = vec![String::from("contender")];
    head.extend(figures.iter().map(|figure| figure.heading().into()));
    head.extend(ratios.iter().map(|(figure, reference)| {
        let of_cpu = if figure.is_cpu() { "CPU " } else { "" };
        format!("{of_cpu}x {}", reference.name())
    }));
    let row = |&contender: &C| {
        let mut row = vec![contender.name().to_owned()];
        row.extend(
            figures
                .iter()
                .map(|&figure| cell(results, load, contender, figure)),
        );
        row.extend(ratios.iter().map(|&(figure, reference)| {
            let ratio = results.ratio(load, contender, reference, figure);
            ratio.map_or(NONE.into(), |ratio| format!("{ratio:.2}"))
        }));
        row
    };
    let rows = contenders.iter().map(row).collect();
    (head, rows)
}

/// The figures that are compared, with the contenders that they are compared to.
fn ratios<C: Contender>(figures: &[Figure], contenders: &[C]) -> Vec<(Figure, C)> {
    let references = C::REFERENCES
        .iter()
        .filter(|reference| contenders.contains(reference));
    let first = figures.first().into_iter();
    let cpu = figures.iter().filter(|figure| figure.is_cpu());
    let compared = first.chain(cpu).flat_map(|&figure| {
        // A direct connection has no proxy whose time could be compared.
        let has = move |reference: &&C| !(figure.is_cpu() && reference.is_direct());
        references
            .clone()
            .filter(has)
            .map(move |&reference| (figure, reference))
    });
    compared.collect()
}

fn memory_table<C: Contender, W: Work>(
    results: &Results<C>,
    loads: &[Load<W>],
    contenders: &[C],
) -> (Vec<String>, Rows) {
    let columns: Vec<(&Load<W>, Figure)> = loads
        .iter()
        .flat_map(|load| {
            load.work
                .figures()
                .iter()
                .map(move |&figure| (load, figure))
        })
        .collect();
    let mut head = vec![String::from("contender")];
    head.extend(columns.iter().map(|(_, figure)| figure.heading().into()));
    let row = |&contender: &C| {
        let cells = columns
            .iter()
            .map(|&(load, figure)| cell(results, load, contender, figure));
        std::iter::once(contender.name().to_owned())
            .chain(cells)
            .collect()
    };
    let rows = contenders.iter().map(row).collect();
    (head, rows)
}

fn cell<C: Contender, W>(
    results: &Results<C>,
    load: &Load<W>,
    contender: C,
    figure: Figure,
) -> String {
    let median = results.median(load, contender, figure);
    median.map_or(NONE.into(), |median| figure.show(median))
}

/// A markdown table, its columns as wide as their widest cell: the first one to the left, the
/// others, which hold figures, to the right.
fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
        cells
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    line(&mut text, head, &widths);
    text.push('|');
    for (column, width) in widths.iter().enumerate() {
        let end = if column == 0 { "-" } else { ":" };
        let _ = write!(text, " {}{end} |", "-".repeat(width.saturating_sub(1)));
    }
    text.push('\n');
    for row in rows {
        line(&mut text, row, &widths);
    }
    text
}

fn line(text: &mut String, cells: &[String], widths: &[usize]) {
    text.push('|');
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        // Writing to a string cannot fail.
        let _ = match column {
            0 => write!(text, " {cell:<width$} |"),
            _ => write!(text, " {cell:>width$} |"),
        };
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::figures::Sample;
    use super::super::pmproxy::{Contender, LOADS};
    use super::super::suite::find_load;
    use super::*;

    fn find(name: &str) -> anyhow::Result<Load<impl Work>> {
        find_load(&LOADS, name)
    }

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells
            .iter()
            .map(|row| row.iter().map(|&cell| cell.into()).collect())
            .collect()
    }

    #[test]
    fn a_table_is_aligned_by_characters_not_bytes() {
        let table = table(
            &rows(&[&["who", "µs"]])[0],
            &rows(&[&["direct", "15.8"], &["C", "-"]]),
        );
        let expected = "\
| who    |   µs |
| ------ | ---: |
| direct | 15.8 |
| C      |    - |
";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_contender_has_no_row_in_the_table_of_a_load_that_it_was_spared() {
        let load = find("128x1200").unwrap();
        let mut results = Results::default();
        results.push(load, Contender::Direct, None);
        let contenders = [Contender::Direct, Contender::OursTls];
        let text = tables(&results, &[load], &contenders);
        assert!(text.contains("| direct "));
        assert!(!text.contains("TLS"));
    }

    #[test]
    fn a_report_has_the_medians_the_ratios_and_what_is_missing() {
        let (load, idle) = (find("128x1200").unwrap(), find("idle").unwrap());
        let mut results = Results::default();
        let direct = Sample::default()
            .with(Figure::Rate, 240_000.0)
            .with(Figure::P50, 500.0);
        results.push(load, Contender::Direct, Some(direct));
        let c = Sample::default()
            .with(Figure::Rate, 60_000.0)
            .with(Figure::Cpu, 13.9);
        results.push(load, Contender::C, Some(c));
        results.push(
            idle,
            Contender::C,
            Some(Sample::default().with(Figure::IdleMemory, 700.0)),
        );
        let contenders = [Contender::Direct, Contender::C];
        let tables = tables(&results, &[load, idle], &contenders);
        let text = render(&tables, "", &["haproxy: none".into()]);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let expected = [
            "",
            "### 128 connections, replies of 1200 bytes",
            "",
            "| contender | round trips/s | p50 µs | p99 µs | CPU µs | x direct | x C pmproxy | CPU x C pmproxy |",
            "| --------- | ------------: | -----: | -----: | -----: | -------: | ----------: | --------------: |",
            "| direct    |       240,000 |  500.0 |      - |      - |     1.00 |        4.00 |               - |",
            "| C pmproxy |        60,000 |      - |      - |   13.9 |     0.25 |        1.00 |            1.00 |",
            "",
            "### Memory",
            "",
            "| contender | kB per idle connection |",
            "| --------- | ---------------------: |",
            "| C pmproxy |                   0.70 |",
            "",
            "Not measured:",
            "",
            "- haproxy: none",
        ];
        assert_eq!(lines, expected);
    }
}
