"""Many machines at once: what each is doing now, and a ledger of the incidents found on them."""
