//! The page: introduction, contents and sections in one HTML file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::read::Source;
use super::{caption, experiments, heat, memory, paper, regret, speedup, sweep};

/// A section: its anchor, its heading, what it shows in a sentence or two, its content.
struct Section {
    id: &'static str,
    heading: &'static str,
    says: &'static str,
    content: Markup,
}

/// The whole page: a section without measurements says how to make them.
///
/// # Errors
/// Only where a chart cannot be drawn.
pub(crate) fn render(sources: &[Source]) -> anyhow::Result<String> {
    Ok(page(&sections(sources)?))
}

/// The page of one run: the sections that it has measurements for.
///
/// # Errors
/// As [`render`].
pub(crate) fn render_run(source: &Source) -> anyhow::Result<String> {
    let mut sections = sections(std::slice::from_ref(source))?;
    sections.retain(|section| caption::is_measured(&section.content));
    Ok(page(&sections))
}

fn page(sections: &[Section]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Convolutions that choose their algorithm: measurements" }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body {
                header { (introduction()) }
                nav { @for section in sections { a href={ "#" (section.id) } { (section.heading) } " " } }
                main { @for section in sections {
                    section id=(section.id) {
                        h2 { (section.heading) }
                        p { (section.says) }
                        (section.content)
                    }
                } }
            }
        }
    };
    page.into_string()
}

fn introduction() -> Markup {
    html! {
        h1 { "Convolutions that choose their algorithm" }
        p.lead {
            "A convolution layer can be computed in several ways, and which is fastest depends on its sizes. \
             This library predicts the time of each and takes the fastest; here is how fast that is, against \
             other libraries and against the paper it grew from (Mathieu, Henaff, LeCun: "
            em { "Fast Training of Convolutional Networks through FFTs" } ", arXiv:1312.5851)."
        }
        dl.words {
            dt { "pick" } dd { "the algorithm our chooser took, by prediction, before anything was timed" }
            dt { "best" } dd { "the algorithm of ours that then turned out fastest" }
            dt { "peer" } dd { "another library on the same problem and machine; of several, the faster" }
            dt { "speed-up" } dd { "the peer's time over the pick's: 2× is twice as fast, below 1 is slower" }
            dt { "pass" } dd {
                "forward computes a layer's output, backward-input and backward-weights the gradients of its \
                 input and weights"
            }
            dt { "n, k, f, f′, S" } dd { "input width, kernel width, input channels, output channels, batch" }
            dt { "units" } dd {
                "times are medians in milliseconds (ms); ° or a hollow mark: timed a single time"
            }
        }
    }
}

fn sections(sources: &[Source]) -> anyhow::Result<Vec<Section>> {
    let section = |id, heading, says, content| Section { id, heading, says, content };
    Ok(vec![
        section(
            "summary",
            "Summary",
            "How many times faster the pick is than the faster peer, per list of problems.",
            speedup::section(sources)?,
        ),
        section(
            "heat",
            "Every problem",
            "The speed-up of each problem in each pass. Point at a number for the times behind it.",
            heat::section(sources),
        ),
        section(
            "table",
            "The paper's table",
            "What the paper printed for its five layers (GTX Titan, batch 128, ms), and the same layers \
             here. Machines and batches differ, and nothing is scaled: compare within a row group of one machine. \
             The paper has no backward-input of the first layer, so no total counts it.",
            paper::table_section(sources),
        ),
        section(
            "figure3",
            "The paper's figure 3",
            "Time of one layer against its input width, kernel width and batch.",
            html! { (sweep::legend()) (paper::figure_section(sources)?) },
        ),
        section(
            "memory",
            "The paper's memory table",
            "What the spectra of one layer need, by the paper's formula and as they are stored: half a \
             spectrum of an even width n has n/2 + 1 columns.",
            memory::section(),
        ),
        section(
            "functional",
            "The report's experiments: one convolution",
            "A later student report timed naive windowing against FFT.",
            html! { (sweep::legend()) (experiments::functional(sources)?) },
        ),
        section(
            "layer",
            "The report's experiments: one layer of a network",
            "The same report trained a network of one large convolution (3 to 16 channels) and three linear \
             layers, against input width, kernel width and batch: here the convolution alone.",
            html! { (sweep::legend()) (experiments::layers(sources)?) },
        ),
        section(
            "training",
            "The report's experiments: training",
            "The whole network of these experiments in training.",
            html! { (sweep::legend()) (experiments::networks(sources)?) },
        ),
        section(
            "networks",
            "Whole networks",
            "One training step: every layer forward and backward, and the update of the weights. For its \
             five layers as one network the paper printed 1756 ms (Torch7), 2495 ms (CudaConv) and 867 ms \
             (FFT) on a GTX Titan at batch 128.",
            experiments::network_table(sources),
        ),
        section(
            "regret",
            "How well the chooser chooses",
            "Where every algorithm of ours was timed: the time of all picks against that of the fastest.",
            regret::section(sources),
        ),
        section(
            "growth",
            "Growth with the input",
            "Time against the input width, 16 channels in and out, 9×9 kernels, also at sizes \
             that are no powers of two.",
            html! { (sweep::legend()) (experiments::growth(sources)?) },
        ),
    ])
}
