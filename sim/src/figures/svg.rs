//! A chart as an SVG picture, for documents.

use super::Chart;
use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 440);
/// Told apart also without colour, by their order in the legend; after Okabe and Ito.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
];

/// Draws them side by side, two in a row.
pub fn draw(charts: &[Chart]) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("drawing: {error}");
    let columns = charts.len().clamp(1, 2);
    let rows = charts.len().div_ceil(columns).max(1);
    let mut text = String::new();
    {
        let size = (SIZE.0 * columns as u32, SIZE.1 * rows as u32);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        for (part, chart) in area.split_evenly((rows, columns)).iter().zip(charts) {
            plot(chart, part).map_err(|error| failed(&error))?;
        }
        area.present().map_err(|error| failed(&error))?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn plot(chart: &Chart, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let cores = points().map(|point| point.0).max().unwrap_or(1);
    let highest = points().map(|point| point.1).max().unwrap_or(1) as f64 / 1000.0;
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0..cores + 1, 0.0..highest * 1.05)?;
    let about = format!("{} ({})", chart.axes.0, chart.source);
    context.configure_mesh().light_line_style(TRANSPARENT).x_desc(about).y_desc(chart.axes.1).draw()?;
    for (number, series) in chart.series.iter().enumerate() {
        let style = COLOURS[number % COLOURS.len()].stroke_width(2);
        let line = series.points.iter().map(|(cores, nanoseconds)| (*cores, *nanoseconds as f64 / 1000.0));
        context
            .draw_series(LineSeries::new(line, style))?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
    }
    context
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(TRANSPARENT)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}
