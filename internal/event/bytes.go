package event

import "fmt"

// Bytes is a number of bytes for people, in the units of disks and networks (1 kB
// is 1000 bytes). Whoever tells of Build.Bytes writes it so.
func Bytes(n int64) string {
	const unit = 1000
	switch {
	case n >= unit*unit*unit:
		return fmt.Sprintf("%.1f GB", float64(n)/(unit*unit*unit))
	case n >= unit*unit:
		return fmt.Sprintf("%.1f MB", float64(n)/(unit*unit))
	case n >= unit:
		return fmt.Sprintf("%.0f kB", float64(n)/unit)
	}
	return fmt.Sprintf("%d B", n)
}
