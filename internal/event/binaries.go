package event

// Binaries is what a look inside an image found of its native files.
type Binaries struct {
	Target   string          `json:"target"`   // linux/amd64
	Findings []BinaryFinding `json:"findings"` // errors first, then by path
	Files    int             `json:"files"`    // in all layers together
	Binaries int             `json:"binaries"` // in the final file system
	Bytes    int64           `json:"bytes"`    // of all layers, uncompressed
	Layers   int             `json:"layers"`
	Cached   int             `json:"cached"` // layers whose contents were known
}

// BinaryFinding is one file that does not fit, or that is worth a note.
type BinaryFinding struct {
	Level    string   `json:"level"` // "error", "warning" or "note"
	Rule     string   `json:"rule"`
	Path     string   `json:"path"`
	What     string   `json:"what"`               // what it is
	Want     string   `json:"want,omitempty"`     // what was expected
	Why      string   `json:"why,omitempty"`      // why that matters
	LoadedBy string   `json:"loadedBy,omitempty"` // the program that loads it
	Layer    string   `json:"layer,omitempty"`    // digest of the layer that brought it
	Step     string   `json:"step,omitempty"`     // of the Dockerfile, from the image's history
	Mend     []string `json:"mend,omitempty"`     // how to mend it
	Allowed  string   `json:"allowed,omitempty"`  // the rule of verify.allow that accepted it
	Reason   string   `json:"reason,omitempty"`   // that rule's reason
}
