// The scale code of 32 float32 numbers for MXFP4 by the rule of OCP MX 1.0, section 6.3:
// the largest power of two in amax, divided by 4, the largest power of two of E2M1.
//
// Powers of two are exponent fields here, so nothing is calculated but one subtraction. Blocks of
// zeros and of tiny numbers get 00 (2^-127, the least scale); a NaN or infinity makes it ff (NaN).
module e8m0_scale (
    input  wire [1023:0] numbers,  // number i is numbers[32*i +: 32]
    output reg  [7:0]    scale
);
    localparam [7:0] EMAX = 8'd2;

    integer lane;
    reg [7:0] exponent;
    reg [7:0] largest;

    always @* begin
        largest = 8'h00;
        for (lane = 0; lane < 32; lane = lane + 1) begin
            exponent = numbers[32*lane + 23 +: 8];
            if (exponent > largest) largest = exponent;
        end
        if (largest == 8'hff)     scale = 8'hff;
        else if (largest <= EMAX) scale = 8'h00;
`ifdef PLANTED_BUG_SCALE
        else                      scale = largest - EMAX - 8'd1;
`else
        else                      scale = largest - EMAX;
`endif
    end
endmodule
