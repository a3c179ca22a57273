package task

// A Volume is a place for files that outlives a container. No volume is a folder
// of the machine that the sandbox runs on, whatever a task definition says: what
// is on the disk of a container instance, or on a file system of the network,
// begins empty and belongs to the sandbox.
type Volume struct {
	Name string

	// Key tells volumes apart that are shared by all tasks and live as long as
	// the sandbox. A volume without one is the task's own, and goes with it.
	Key string
}

// A Mount puts a volume into a container.
type Mount struct {
	Volume   string // its name
	Path     string
	ReadOnly bool
}

// VolumesFrom gives a container all mounts of another one.
type VolumesFrom struct {
	Container string
	ReadOnly  bool
}
