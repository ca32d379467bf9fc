//! A drawing in pixels, whose text is in a font that the program brings along.

use ab_glyph::{Font, FontRef, Glyph, PxScaleFont, ScaleFont, point};
use plotters::prelude::BitMapBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

/// Plotters' pixels; its own text would need a font of the system.
pub(super) struct Bitmap<'a> {
    pixels: BitMapBackend<'a>,
    font: FontRef<'static>,
}

type Pixels = BitMapBackend<'static>;
type Drawn = Result<(), DrawingErrorKind<<Pixels as DrawingBackend>::ErrorType>>;

impl<'a> Bitmap<'a> {
    /// On three bytes a pixel, row by row; `None` where the font is none.
    pub(super) fn new(pixels: &'a mut [u8], size: (u32, u32)) -> Option<Self> {
        let font = FontRef::try_from_slice(dejavu::sans::regular()).ok()?;
        Some(Bitmap { pixels: BitMapBackend::with_buffer(pixels, size), font })
    }
}

impl DrawingBackend for Bitmap<'_> {
    type ErrorType = <Pixels as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.pixels.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.pixels.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.pixels.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.pixels.draw_pixel(point, color)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.pixels.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let font = self.font.clone().into_scaled(style.size() as f32);
        let (glyphs, width) = line(&font, text);
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width / 2.0,
            HPos::Right => -width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0.0,
            VPos::Center => -font.height() / 2.0,
            VPos::Bottom => -font.height(),
        };
        for outline in glyphs.into_iter().filter_map(|glyph| font.outline_glyph(glyph)) {
            let (bounds, mut drawn) = (outline.px_bounds(), Ok(()));
            outline.draw(|x, y, coverage| {
                let [x, y] = [left + bounds.min.x + x as f32, top + bounds.min.y + y as f32];
                let (x, y) = style.transform().transform(x.round() as i32, y.round() as i32);
                let alpha = style.color().alpha * f64::from(coverage.clamp(0.0, 1.0));
                let color = BackendColor { alpha, ..style.color() };
                if alpha > 0.0 && drawn.is_ok() {
                    drawn = self.pixels.draw_pixel((at.0 + x, at.1 + y), color);
                }
            });
            drawn?;
        }
        Ok(())
    }
}

/// The glyphs of a line that begins at 0 with its upper edge at 0, and its width.
fn line(font: &PxScaleFont<FontRef<'static>>, text: &str) -> (Vec<Glyph>, f32) {
    let mut glyphs: Vec<Glyph> = Vec::new();
    let mut width = 0.0;
    for character in text.chars() {
        let mut glyph = font.scaled_glyph(character);
        width += glyphs.last().map_or(0.0, |last| font.kern(last.id, glyph.id));
        glyph.position = point(width, font.ascent());
        width += font.h_advance(glyph.id);
        glyphs.push(glyph);
    }
    (glyphs, width)
}
