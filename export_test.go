package flowscope

// TakeLongWays makes a driver take every segment the long way, for tests that compare.
func TakeLongWays[K comparable, S any](d *FlowDriver[K, S]) { d.simple = false }
