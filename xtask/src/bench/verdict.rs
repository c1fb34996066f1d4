//! What is required of our pmproxy, and whether a run of the bench saw it.

use super::contender::Contender;
use super::figures::Figure;
use super::load::Load;
use super::results::Results;

/// A line for each requirement that was measured.
pub(super) fn lines(results: &Results, loads: &[Load]) -> String {
    loads
        .iter()
        .filter_map(|&load| match load.name {
            "16x1200" => share_of_plain(results, load),
            "idle" => idle_memory(results, load),
            _ => None,
        })
        .collect()
}

fn share_of_plain(results: &Results, load: Load) -> Option<String> {
    let (secure, plain) = (Contender::OursTls, Contender::Ours);
    let ratio = results.ratio(load, secure, plain, Figure::Rate)?;
    let verdict = verdict(ratio >= 0.5);
    Some(format!(
        "- 16 connections, round trips/s, TLS ours / plain ours >= 0.5: {ratio:.2}, {verdict}\n"
    ))
}

fn idle_memory(results: &Results, load: Load) -> Option<String> {
    let each = results.median(load, Contender::OursTls, Figure::IdleMemory)?;
    let verdict = verdict(each <= 40e3);
    let shown = Figure::IdleMemory.show(each);
    Some(format!(
        "- memory per idle connection with TLS <= 40 kB: {shown} kB, {verdict}\n"
    ))
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}
