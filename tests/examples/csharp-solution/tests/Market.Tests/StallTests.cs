public class StallTests {}
