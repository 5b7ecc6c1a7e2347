//! Pages as pictures, for a person to look at.

use hayro::hayro_interpret::InterpreterSettings;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings, render as draw};

use super::file::{self, too_large};
use super::limits;
use crate::{Reason, Unreadable};

/// Draws a page (from 1) as a PNG so many pixels wide.
pub fn render(bytes: &[u8], page: u32, width: u32) -> Result<Vec<u8>, Unreadable> {
    let pdf = file::open(bytes)?;
    let index = usize::try_from(page).ok().and_then(|page| page.checked_sub(1));
    let Some(page) = index.and_then(|index| pdf.pages().get(index)) else {
        return Err(Unreadable::new(Reason::Damaged, format!("the PDF has no page {page}")));
    };
    let (points_wide, points_high) = page.render_dimensions();
    let width = width.clamp(1, limits::PIXELS_WIDE);
    let scale = width as f32 / points_wide.max(1.0);
    let height = points_high * scale;
    if !height.is_finite() || height > limits::PIXELS_HIGH as f32 {
        return Err(too_large(format!("a page of {points_wide} × {points_high} points")));
    }
    file::pictures_within_bounds(&pdf)?;
    // Laid out once without drawing, which bounds the work of drawing.
    super::text::of_pdf(&pdf)?;
    let pixmap = file::guarded(|| {
        let settings = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
        draw(
            page,
            &RenderCache::new(),
            &InterpreterSettings::default(),
            &RenderSettings::default(),
            &settings,
        )
    })?;
    pixmap.into_png().map_err(|_| Unreadable::new(Reason::Damaged, "the page could not be drawn"))
}
