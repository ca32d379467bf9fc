//! The line under a figure or table that says where its numbers come from, and the line where there are none.

use maud::{Markup, html};

use super::read::Source;

/// How the line begins that says where numbers come from.
const MEASURED: &str = "Measured on ";

/// Machine, date and command of one source, after what there is to say about the figure itself.
pub(crate) fn measured(says: &str, source: &Source) -> Markup {
    html! { figcaption { (says) @if !says.is_empty() { " " } (line(source)) } }
}

/// Machine, date and command of several sources, folded away.
pub(crate) fn measured_all(says: &str, sources: &[&Source]) -> Markup {
    html! {
        figcaption {
            (says)
            details {
                summary { "Machines, dates and commands" }
                @for source in sources { p { b { (place(source)) " " (source.list) } ": " (line(source)) } }
            }
        }
    }
}

fn line(source: &Source) -> Markup {
    let about = &source.about;
    let threads = if about.threads == 1 { "1 thread".into() } else { format!("{} threads", about.threads) };
    html! {
        (MEASURED) (about.machine) ", " (threads) ", " (about.date) ", commit " (about.commit) ": "
        code { (about.command) }
    }
}

/// Whether anything in this was measured.
pub(crate) fn is_measured(content: &Markup) -> bool {
    content.0.contains(MEASURED)
}

/// The heading over what one source gives to a section.
pub(crate) fn heading(source: &Source) -> Markup {
    html! { h3 { (place(source)) " " span.list { (source.list) } } }
}

/// The machine's short name.
pub(crate) fn place(source: &Source) -> &str {
    if source.folder.is_empty() { &source.about.machine } else { &source.folder }
}

/// What to run where a section has no numbers.
pub(crate) fn missing(command: &str) -> Markup {
    html! { p.missing { "Not measured yet. To measure it: " code { (command) } } }
}

/// The command that measures a shape list.
pub(crate) fn bench(list: &str, pass: &str) -> String {
    format!(
        "cargo xtask bench --shapes shapes/{list}.txt --pass {pass} --algorithm all --peer pytorch \
         --csv bench-results/MACHINE/{list}.csv"
    )
}

/// The command that measures the networks of this name.
pub(crate) fn bench_net(name: &str) -> String {
    format!("cargo xtask bench --net {name} --peer pytorch --csv bench-results/MACHINE/net-{name}.csv")
}
