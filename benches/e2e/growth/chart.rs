//! The charts: a row for each thing that is changed, with requests a second, time on a core, and memory.

use std::{error::Error, path::Path};

use plotters::{
    backend::SVGBackend,
    chart::ChartBuilder,
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, Text},
    series::LineSeries,
    style::{Color, IntoFont, RGBColor, TextStyle, WHITE},
};

use super::{
    point::Cost,
    sweep::{Grown, Line},
};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn Error>>;

/// What a column shows.
struct Column {
    title: &'static str,
    value: fn(&Cost) -> f64,
}

static COLUMNS: [Column; 3] = [
    Column {
        title: "requests a second",
        value: |cost| cost.per_second,
    },
    Column {
        title: "CPU us for each request",
        value: |cost| cost.cpu,
    },
    Column {
        title: "peak resident MiB",
        value: |cost| cost.peak_memory,
    },
];

/// Values that are further apart than this are drawn by their magnitude.
const FAR: f64 = 20.0;

const PANEL: (u32, u32) = (340, 200);
const LEGEND: u32 = 30;

pub(super) fn draw(file: &Path, all: &[Grown]) -> Drawn {
    let (width, height) = PANEL;
    let rows = all.len();
    let size = (width * COLUMNS.len() as u32, LEGEND + height * rows as u32);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (legend, panels) = root.split_vertically(LEGEND);
    explain(&legend, all)?;
    let panels = panels.split_evenly((rows, COLUMNS.len()));
    for (row, grown) in panels.chunks_exact(COLUMNS.len()).zip(all) {
        for (panel, column) in row.iter().zip(&COLUMNS) {
            draw_panel(panel, grown, column)?;
        }
    }
    root.present()?;
    Ok(())
}

/// Which colour is whose.
fn explain(area: &Area<'_>, all: &[Grown]) -> Drawn {
    let mut systems: Vec<&str> = Vec::new();
    for line in all.iter().flat_map(|grown| &grown.lines) {
        if !systems.contains(&line.system) {
            systems.push(line.system);
        }
    }
    for (number, system) in systems.into_iter().enumerate() {
        let x = 50 + 80 * number as i32;
        let color = color(system);
        area.draw(&Circle::new((x, 16), 4, color.filled()))?;
        area.draw(&Text::new(system.to_owned(), (x + 10, 9), font(&color)))?;
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, grown: &Grown, column: &Column) -> Drawn {
    let costs = grown.lines.iter().flat_map(|line| &line.costs);
    let values: Vec<f64> = costs
        .map(column.value)
        .filter(|value| value.is_finite())
        .collect();
    let scale = Scale::of(&values);
    let (low, high) = scale.range(&values);
    let last = grown.labels.len().saturating_sub(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("{}: {}", grown.name, column.title),
            ("sans-serif", 13),
        )
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(48)
        .build_cartesian_2d(-0.3..last + 0.3, low..high)?;
    let label = |place: &f64| {
        let whole = (place - place.round()).abs() < 1e-6 && *place >= 0.0;
        let label = whole.then(|| grown.labels.get(place.round() as usize));
        label.flatten().cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .x_labels(grown.labels.len() * 2)
        .x_label_formatter(&label)
        .y_labels(5)
        .y_label_formatter(&|place| written(scale.value(*place)))
        .label_style(("sans-serif", 11))
        .draw()?;
    for Line { system, costs } in &grown.lines {
        let color = color(system);
        let points = costs.iter().map(column.value).enumerate();
        let points: Vec<(f64, f64)> = points
            .filter(|(_, value)| value.is_finite())
            .map(|(number, value)| (number as f64, scale.place(value)))
            .collect();
        chart.draw_series(LineSeries::new(
            points.iter().copied(),
            color.stroke_width(2),
        ))?;
        chart.draw_series(
            points
                .into_iter()
                .map(|point| Circle::new(point, 3, color.filled())),
        )?;
    }
    Ok(())
}

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    fn of(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        match least > 0.0 && most / least > FAR {
            true => Self::Logarithmic,
            false => Self::Linear,
        }
    }

    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.log10(),
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Logarithmic => 10_f64.powf(place),
        }
    }

    /// From nothing, or from the power of ten below, to somewhat more than the greatest.
    fn range(self, values: &[f64]) -> (f64, f64) {
        let places = values.iter().map(|value| self.place(*value));
        let (least, most) = places
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
                (low.min(place), high.max(place))
            });
        match self {
            Self::Linear => (0.0, (most * 1.1).max(1e-3)),
            Self::Logarithmic => (least.floor(), most + 0.2),
        }
    }
}

/// A number in as little room as an axis has.
fn written(value: f64) -> String {
    match value {
        1e6.. => format!("{:.1}M", value / 1e6),
        1e4.. => format!("{:.0}k", value / 1e3),
        1e3.. => format!("{:.1}k", value / 1e3),
        10.0.. => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

fn color(system: &str) -> RGBColor {
    match system {
        "ours" => RGBColor(0xd0, 0x45, 0x1b),
        "bare" => RGBColor(0x5f, 0x6b, 0x7a),
        _ => RGBColor(0x1f, 0x7a, 0x4d),
    }
}

fn font(color: &RGBColor) -> TextStyle<'static> {
    ("sans-serif", 13).into_font().color(color)
}
