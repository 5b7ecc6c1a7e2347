//! (opened; see DESIGN)
