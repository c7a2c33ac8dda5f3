"""What a method of the API is, apart from how a call arrives: failures, calls, methods, invoking."""
