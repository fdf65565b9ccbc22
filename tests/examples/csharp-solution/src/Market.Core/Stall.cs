namespace Market.Core;

public record Stall(string Name);
