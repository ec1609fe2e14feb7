//! What of a Driftless dataset survives a crash, on fjall
